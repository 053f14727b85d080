/** Union-find over names; the first name joined leads its set. */
export class DisjointSets {
  private readonly parents = new Map<string, string>();

  find(name: string): string {
    let root = name;
    for (let up = this.parents.get(root); up !== undefined; up = this.parents.get(root)) root = up;
    return root;
  }

  join(first: string, second: string): void {
    const a = this.find(first);
    const b = this.find(second);
    if (a !== b) this.parents.set(b, a);
  }
}
