/** What a classifier said of one picture. */
export interface ClassifiedPicture {
  /** Index of the class it shows. */
  truth: number;
  /** Class indices, best score first; -1: something that is not among the classes. Empty: it said nothing. */
  ranked: readonly number[];
}

export interface ClassFigures {
  /** Pictures that show it. */
  support: number;
  /** Pictures that were called it. */
  predicted: number;
  /** 0 where there is nothing to divide by, as in scikit-learn. */
  precision: number;
  recall: number;
  f1: number;
}

export interface ClassificationMetrics {
  pictures: number;
  /** Share of the pictures whose best guess is right. */
  top1: number;
  /** Share of the pictures whose class is among the best k guesses. */
  topK: { k: number; accuracy: number };
  /** By class index. */
  perClass: ClassFigures[];
  /** Mean over the classes that some picture shows. */
  macro: { precision: number; recall: number; f1: number };
  /** Rows: what it is. Columns: what it was called; the last column: something else, or nothing. */
  confusion: number[][];
}

/**
 * Accuracy, and precision, recall and F1 per class, of a classifier over `classes` classes. Throws RangeError on a
 * truth out of 0..classes-1.
 */
export function classificationMetrics(
  pictures: readonly ClassifiedPicture[],
  classes: number,
  k = 5,
): ClassificationMetrics {
  const confusion = Array.from({ length: classes }, () => new Array<number>(classes + 1).fill(0));
  let amongBest = 0;
  for (const { truth, ranked } of pictures) {
    if (confusion[truth] === undefined) throw new RangeError(`class ${truth}, there are ${classes}`);
    const guess = ranked[0] ?? -1;
    confusion[truth][guess >= 0 && guess < classes ? guess : classes]++;
    if (ranked.slice(0, k).includes(truth)) amongBest++;
  }
  const figures = confusion.map((row, index): ClassFigures => {
    const right = row[index];
    const support = row.reduce((sum, count) => sum + count, 0);
    const predicted = confusion.reduce((sum, other) => sum + other[index], 0);
    return {
      support,
      predicted,
      precision: ratio(right, predicted),
      recall: ratio(right, support),
      f1: ratio(2 * right, predicted + support),
    };
  });
  const shown = figures.filter(({ support }) => support > 0);
  const macro = (key: 'precision' | 'recall' | 'f1'): number =>
    ratio(
      shown.reduce((sum, each) => sum + each[key], 0),
      shown.length,
    );
  return {
    pictures: pictures.length,
    top1: ratio(
      confusion.reduce((sum, row, index) => sum + row[index], 0),
      pictures.length,
    ),
    topK: { k, accuracy: ratio(amongBest, pictures.length) },
    perClass: figures,
    macro: { precision: macro('precision'), recall: macro('recall'), f1: macro('f1') },
    confusion,
  };
}

function ratio(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole;
}
