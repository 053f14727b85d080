/** A topic filter taken apart once, for many topics (MQTT 3.1.1, 4.7). */
export class TopicFilter {
  readonly #levels: readonly string[];
  /** What every topic that matches begins with: most are told apart by it alone. */
  readonly #prefix: string;

  constructor(filter: string) {
    this.#levels = filter.split('/');
    // `a/#` matches `a` too: what stands before the separator is all that is sure.
    this.#prefix = filter.slice(0, Math.max(0, filter.search(/[+#]/) - 1));
  }

  /** Does this name one topic only? */
  static isExact(filter: string): boolean {
    return !filter.includes('+') && !filter.includes('#');
  }

  matches(topic: string): boolean {
    if (!topic.startsWith(this.#prefix)) return false;
    const [first] = this.#levels;
    // Wildcards in the first level do not reach the broker's own topics (4.7.2).
    if (topic.startsWith('$') && (first === '+' || first === '#')) return false;
    const levels = topic.split('/');
    for (const [index, wanted] of this.#levels.entries()) {
      if (wanted === '#') return true;
      if (levels.length <= index) return false;
      if (wanted !== '+' && wanted !== levels[index]) return false;
    }
    return levels.length === this.#levels.length;
  }
}
