import type { InstallPhase, ReleaseReference } from '@vigie/protocol';
import { FAULTS, killedFromOutside, type RetryClass } from './faults.js';
import { fullJitterMs } from './full-jitter.js';
import { type InstallState, type JournalEntry, rememberFailure } from './journal.js';
import { actionOf, entryOf, errorOf, type Situation, standing, wayBack } from './machine-guards.js';
import type { Change, Row } from './machine-table.js';
import type { StateName } from './machine-types.js';

type Changed = Partial<InstallState>;

/** Phases in which the candidate's child lives: an end in order gives the load back that was counted. */
const LOADED: readonly InstallPhase[] = ['SELF_TEST', 'SHADOW', 'TRIAL'];

/** Changes of the table in code. `to`: the next phase. `delayMs`: the wait before a retry. */
export const CHANGES: Readonly<Record<Change, (s: Situation, to: InstallPhase, delayMs: number) => Changed>> = {
  none: () => ({}),
  clear: () => ({ journal: null }),
  offer: (s) => ({ journal: offered(s, wanted(s)) }),
  resume: (s) => ({ journal: resumed(s) }),
  adopt: ({ state, facts }, phase) => {
    const release = standing({ state, facts }) as ReleaseReference;
    const { attempt = 1 } = state.journal ?? {};
    return {
      journal: { generation: state.generation, release, phase, error: null, attempt, loads: 0, killed: 0 },
      active: release.digest === facts.bundled?.digest ? null : release,
    };
  },
  refuse: (s, phase) => {
    const action = actionOf(s);
    if (action.kind !== 'refuse') throw new RangeError('nothing to refuse');
    const { code, message, release } = action;
    const { generation, failed } = s.state;
    return {
      journal: { ...(s.state.journal ?? offered(s, release)), phase, error: { code, message } },
      failed: code === 'PREVIOUSLY_FAILED' ? failed : rememberFailure(failed, release.digest, { code, generation }),
    };
  },
  advance: (s, phase) => {
    const { event } = s;
    const entry = entryOf(s);
    return {
      journal: {
        ...entry,
        phase,
        loads: entry.loads + (phase === 'SELF_TEST' ? 1 : 0),
        ...(event.kind === 'done' && event.plan !== undefined ? { plan: event.plan } : {}),
        ...(event.kind === 'looked' && event.agreement !== null ? { agreement: event.agreement } : {}),
      },
    };
  },
  commit: (s, phase) => {
    const { state, facts } = s;
    const entry = entryOf(s);
    const { release, left } = entry;
    const fromSlot = release.digest === facts.bundled?.digest ? null : release;
    const others = Object.entries(state.failed).filter(([digest]) => digest !== release.digest);
    return {
      journal: { ...entry, ...found(s), phase, error: left === undefined ? null : entry.error },
      active: fromSlot,
      // What was withdrawn is no way back.
      previous: left !== undefined ? null : previousFor(state, release),
      failed: Object.fromEntries(others),
    };
  },
  end: (s, phase) => ({ journal: ended(s, phase) }),
  blame: (s, phase) => {
    const { release } = entryOf(s);
    const { generation, failed } = s.state;
    const error = errorOf(s.event);
    const blamed = error !== null && FAULTS[error.code].model;
    return {
      journal: ended(s, phase),
      ...(blamed ? { failed: rememberFailure(failed, release.digest, { code: error.code, generation }) } : {}),
    };
  },
  retry: (s, phase, delayMs) => {
    const entry = s.event.kind === 'started' ? entryOf(s) : ended(s, phase);
    const error = errorOf(s.event);
    const killed = error !== null && killedFromOutside(error.code, error.message) ? 1 : 0;
    const retryAt = instant(s.facts.wallMs + delayMs);
    return { journal: { ...entry, killed: entry.killed + killed, ...(retryAt === null ? {} : { retryAt }) } };
  },
  'go-back': (s) => {
    const runs = standing(s) as ReleaseReference;
    const error = { code: 'RELEASE_WITHDRAWN' as const, message: `${runs.name} ${runs.version} was withdrawn` };
    return { journal: { ...offered(s, wayBack(s) as ReleaseReference), left: runs.digest, error } };
  },
  note: (s) => {
    const { name, version } = standing(s) as ReleaseReference;
    const message = `${name} ${version} was withdrawn, and there is no other model to go to; it goes on`;
    const entry = s.state.journal ?? { ...offered(s, standing(s) as ReleaseReference), phase: 'COMMITTED' as const };
    return { journal: { ...entry, error: { code: 'RELEASE_WITHDRAWN', message } } };
  },
  'give-back': (s) => ({ journal: { ...entryOf(s), loads: loadsAfter(entryOf(s)) } }),
};

/** How long a retry of this row waits, ms; 0 where it has none. */
export function retryDelay(row: Row, s: Situation): number {
  if (row.change !== 'retry') return 0;
  const entry = entryOf(s);
  const code = errorOf(s.event)?.code ?? entry.error?.code ?? 'INTERNAL';
  const kind: RetryClass = FAULTS[code].retry;
  const bounds = s.facts.retryTimes[kind === 'later' || kind === 'budget' ? kind : 'soon'];
  return fullJitterMs(entry.attempt - 1, bounds, s.facts.random);
}

/** Digests whose packages stay: what runs, the way back, and what this generation still may need. */
export function kept(state: InstallState, at: StateName): string[] {
  const { active, previous, journal } = state;
  const candidate = journal !== null && at !== 'ROLLED_BACK' && (at !== 'FAILED' || journal.retryAt !== undefined);
  const slots = [active, previous, candidate ? journal.release : null];
  return [...new Set(slots.flatMap((slot) => (slot === null ? [] : [slot.digest])))];
}

function wanted(s: Situation): ReleaseReference {
  const action = actionOf(s);
  if (action.kind !== 'install') throw new RangeError(`nothing to install: ${action.kind}`);
  return action.release;
}

function offered({ state }: Situation, release: ReleaseReference): JournalEntry {
  const { generation } = state;
  return { generation, release, phase: 'OFFERED', error: null, attempt: 1, loads: 0, killed: 0 };
}

/** The same install once more: what it has fetched is there, and what it has cost is counted on. */
function resumed(s: Situation): JournalEntry {
  const fresh = offered(s, s.event.kind === 'started' ? wanted(s) : wantedAgain(s));
  const before = s.event.kind === 'started' ? entryToResume(s) : s.state.journal;
  if (before === null) return fresh;
  const { attempt, loads, killed, left, error, phase } = before;
  const next = phase === 'FAILED' || phase === 'INCONCLUSIVE' ? attempt + 1 : attempt;
  return { ...fresh, attempt: next, loads, killed, ...(left === undefined ? {} : { left, error: leftError(error) }) };
}

function wantedAgain(s: Situation): ReleaseReference {
  return entryOf(s).release;
}

function entryToResume(s: Situation): JournalEntry | null {
  const action = actionOf(s);
  return action.kind === 'install' ? action.entry : null;
}

function leftError(error: JournalEntry['error']): JournalEntry['error'] {
  return error?.code === 'RELEASE_WITHDRAWN'
    ? error
    : { code: 'RELEASE_WITHDRAWN', message: 'what runs was withdrawn; going back' };
}

function ended(s: Situation, phase: InstallPhase): JournalEntry {
  const { retryAt: _, ...entry } = entryOf(s);
  const error = errorOf(s.event);
  const short = error === null ? null : { code: error.code, message: error.message.slice(0, 480) };
  const quiet = s.event.kind === 'looked' && phase === 'SHADOWED';
  return { ...entry, ...found(s), phase, loads: loadsAfter(entry), error: quiet ? null : short };
}

/** What a step found out. */
function found({ event }: Situation): Pick<JournalEntry, 'swap' | 'agreement'> {
  const swap = event.kind === 'judged' || event.kind === 'failed' ? event.swap : undefined;
  const agreement = event.kind === 'judged' || event.kind === 'looked' ? event.agreement : undefined;
  return {
    ...(swap === undefined ? {} : { swap }),
    ...(agreement === undefined || agreement === null ? {} : { agreement }),
  };
}

function loadsAfter({ loads, phase }: Pick<JournalEntry, 'loads' | 'phase'>): number {
  return LOADED.includes(phase) ? Math.max(0, loads - 1) : loads;
}

/** The slot to keep for a way back. */
function previousFor({ active, previous }: InstallState, release: ReleaseReference): ReleaseReference | null {
  return active !== null && active.digest !== release.digest ? active : previous;
}

/** Null where a clock is so far off that no calendar has the day. */
function instant(ms: number): string | null {
  const text = Number.isFinite(ms) && Math.abs(ms) < 8.64e15 ? new Date(ms).toISOString() : '';
  return text.length === 24 ? text : null;
}
