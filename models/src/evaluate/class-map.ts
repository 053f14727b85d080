/** How the model's labels and the data set's categories go together. */
export interface ClassMap {
  /** Category index of each label; -1: the data set knows no such thing. */
  categoryOf: number[];
  /** Categories that some label stands for. */
  matchedCategories: number[];
  /** Names of labels that stand for no category: their detections are left out. */
  unmatchedLabels: string[];
  /** Names of categories that no label stands for: they are not evaluated. */
  unmatchedCategories: string[];
  /** Pairs that were matched though they are written differently. */
  loose: { label: string; category: string }[];
}

/** Neither case nor the kind of space between words tells two things apart. */
function loosely(name: string): string {
  return name
    .toLowerCase()
    .replace(/[\s_-]+/g, ' ')
    .trim();
}

/**
 * Matches labels with categories by name: as `given` says (label to category), else the same name, else the same but
 * for case and spaces, `_` and `-`. Several labels may stand for one category. Throws RangeError naming a label or
 * category of `given` that is not there.
 */
export function matchClasses(
  labels: readonly string[],
  categories: readonly string[],
  given: ReadonlyMap<string, string> = new Map(),
): ClassMap {
  for (const [label, category] of given) {
    if (!labels.includes(label)) throw new RangeError(`the model has no label "${label}"; it has ${some(labels)}`);
    if (!categories.includes(category)) {
      throw new RangeError(`the data set has no category "${category}"; it has ${some(categories)}`);
    }
  }
  const byLooseName = new Map<string, number[]>();
  for (const [index, category] of categories.entries()) {
    byLooseName.set(loosely(category), [...(byLooseName.get(loosely(category)) ?? []), index]);
  }
  const loose: ClassMap['loose'] = [];
  const categoryOf = labels.map((label) => {
    const exact = categories.indexOf(given.get(label) ?? label);
    if (exact >= 0) return exact;
    const similar = byLooseName.get(loosely(label)) ?? [];
    if (similar.length !== 1) return -1;
    loose.push({ label, category: categories[similar[0]] });
    return similar[0];
  });
  const matched = new Set(categoryOf.filter((category) => category >= 0));
  return {
    categoryOf,
    matchedCategories: [...matched].sort((a, b) => a - b),
    unmatchedLabels: labels.filter((_, index) => categoryOf[index] < 0),
    unmatchedCategories: categories.filter((_, index) => !matched.has(index)),
    loose,
  };
}

/** The first few names of a list that may be long. */
export function some(names: readonly string[], most = 10): string {
  const rest = names.length - most;
  const shown = names.slice(0, most).map((name) => (name.includes(',') ? `"${name}"` : name));
  return `${shown.join(', ')}${rest > 0 ? ` and ${rest} more` : ''}`;
}
