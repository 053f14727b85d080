/** Room for a number that tells a name from its namesake within the 64 characters of a label. */
const LONGEST = 58;

/**
 * Makes labels out of the published lists of large classifiers, which are no lists of labels: ImageNet's has lines of synonyms
 * ("great white shark, white shark, man-eater, ...") longer than a label may be, and two cranes. A line that is too long
 * loses synonyms at its end; a name that stands there already gets a number, "crane (2)". Other lines stay as they are.
 */
export function distinctNames(lines: readonly string[]): string[] {
  const taken = new Set<string>();
  const counts = new Map<string, number>();
  return lines.map((line) => {
    const name = line.length > 64 ? withoutLastSynonyms(line) : line;
    if (name === '' || !taken.has(name)) {
      taken.add(name);
      return name;
    }
    let count = counts.get(name) ?? 1;
    let label: string;
    do label = `${name} (${++count})`;
    while (taken.has(label));
    counts.set(name, count);
    taken.add(label);
    return label;
  });
}

function withoutLastSynonyms(line: string): string {
  const comma = line.lastIndexOf(',', LONGEST);
  return comma > 0 ? line.slice(0, comma).trimEnd() : line;
}
