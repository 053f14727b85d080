import { cronProblem } from './schedule.js';
import type { LiveGate, RolloutSpec, Wave } from './spec.js';
import { isTimeZone } from './zone-time.js';

/** What is wrong with a rollout beyond its schema, in one line that names the field; null: nothing. Judged when it is made. */
export function specProblem(spec: RolloutSpec): string | null {
  return (
    wavesProblem(spec.waves) ??
    first(spec.gates, gateProblem) ??
    zonesProblem(spec) ??
    scheduleProblem(spec) ??
    comparisonProblem(spec) ??
    (spec.order === 'listed' && spec.selector.devices === undefined
      ? 'order: "listed" needs selector.devices, the list'
      : null) ??
    (spec.shadow?.outcome === 'report'
      ? 'shadow.outcome: "report" ends without an install, so no board could succeed; say "trial"'
      : null)
  );
}

function wavesProblem(waves: readonly Wave[]): string | null {
  const names = new Set<string>();
  let share = 0;
  for (const [index, { name, size }] of waves.entries()) {
    const at = `waves[${index}]`;
    if (names.has(name)) return `${at}.name: "${name}" is there twice`;
    names.add(name);
    if (!('share' in size)) continue;
    if (size.share <= share) return `${at}.size.share: ${size.share} adds nothing to the ${share} before it`;
    share = size.share;
  }
  const last = waves[waves.length - 1];
  if (!('share' in last.size) || last.size.share !== 1)
    return `waves[${waves.length - 1}].size: the last wave takes all boards, {"share": 1}; for a part of them use selector.share`;
  return null;
}

function gateProblem(gate: LiveGate, index: number): string | null {
  const { min, max } = gate;
  if (min === undefined && max === undefined) return `gates[${index}]: has neither min nor max`;
  if (min !== undefined && max !== undefined && min > max) return `gates[${index}]: min ${min} is above max ${max}`;
  return null;
}

function zonesProblem({ windows }: RolloutSpec): string | null {
  return first(windows, ({ timeZone }, index) =>
    timeZone === undefined || isTimeZone(timeZone)
      ? null
      : `windows[${index}].timeZone: "${timeZone}" is no IANA time zone, such as Europe/Paris`,
  );
}

function scheduleProblem({ schedule }: RolloutSpec): string | null {
  if (schedule === undefined) return null;
  if ('startAt' in schedule)
    return Number.isNaN(Date.parse(schedule.startAt)) ? `schedule.startAt: ${schedule.startAt} is no such time` : null;
  const { cron, timeZone } = schedule;
  if (timeZone !== undefined && !isTimeZone(timeZone))
    return `schedule.timeZone: "${timeZone}" is no IANA time zone, such as Europe/Paris`;
  const problem = cronProblem(cron);
  return problem === null ? null : `schedule.cron: ${problem}`;
}

function comparisonProblem({ release, comparison }: RolloutSpec): string | null {
  if (comparison === undefined) return null;
  return comparison.release.name === release.name && comparison.release.version === release.version
    ? 'comparison.release: is the release itself; name another one'
    : null;
}

function first<T>(all: readonly T[], problem: (one: T, index: number) => string | null): string | null {
  for (const [index, one] of all.entries()) {
    const found = problem(one, index);
    if (found !== null) return found;
  }
  return null;
}
