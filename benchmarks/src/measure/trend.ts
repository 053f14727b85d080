/** One measurement of a series: `group` has a level of its own (another model, another run), all groups share the trend. */
export interface TrendSample {
  group: string;
  x: number;
  y: number;
}

export interface Trend {
  /** Change of y per unit of x. */
  slope: number;
  /** Standard error of the slope: twice this is about 95 %. */
  standardError: number;
  samples: number;
}

/**
 * Common linear trend of several groups by least squares, each with its own intercept (analysis of covariance). Null with
 * fewer than two samples more than groups, or when x never changes within a group.
 */
export function commonTrend(samples: readonly TrendSample[]): Trend | null {
  const groups = new Map<string, TrendSample[]>();
  for (const sample of samples) groups.set(sample.group, [...(groups.get(sample.group) ?? []), sample]);
  const centred: { x: number; y: number }[] = [];
  for (const members of groups.values()) {
    const mean = (pick: (sample: TrendSample) => number): number =>
      members.reduce((sum, sample) => sum + pick(sample), 0) / members.length;
    const [meanX, meanY] = [mean(({ x }) => x), mean(({ y }) => y)];
    centred.push(...members.map(({ x, y }) => ({ x: x - meanX, y: y - meanY })));
  }
  const sum = (term: (sample: { x: number; y: number }) => number): number =>
    centred.reduce((total, sample) => total + term(sample), 0);
  const spread = sum(({ x }) => x * x);
  const freedom = centred.length - groups.size - 1;
  if (freedom < 1 || spread === 0) return null;
  const slope = sum(({ x, y }) => x * y) / spread;
  const residual = sum(({ x, y }) => (y - slope * x) ** 2) / freedom;
  return { slope, standardError: Math.sqrt(residual / spread), samples: centred.length };
}
