import { FAULTS, type Fault } from './faults.js';
import { BUSY, STATES, TABLE } from './machine-table.js';
import type { StateName } from './machine-types.js';

/** The install machine as the Markdown table of docs/updates.md. */
export function machineTable(): string {
  const rows = TABLE.map(({ from, on, when, to, effects }) => {
    const happens = when === 'otherwise' ? on : `${on}: ${when}`;
    return `| ${named(from)} | ${happens} | ${to ?? '(the same)'} | ${effects.join(', ') || '(nothing)'} |`;
  });
  return ['| in | when | goes to | does |', '|---|---|---|---|', ...rows].join('\n');
}

/** What each error code means for the generation and the digest, as the Markdown table of docs/updates.md. */
export function faultTable(): string {
  const rows = Object.entries(FAULTS).map(
    ([code, fault]) => `| \`${code}\` | ${again(fault)} | ${fault.model ? 'yes' : 'no'} |`,
  );
  return ['| code | tried again | held against the model |', '|---|---|---|', ...rows].join('\n');
}

function again({ retry, attempts, line }: Fault): string {
  const times = {
    never: 'no',
    start: 'at the next start of the agent',
    soon: 'after 5 s to 5 min',
    later: 'after 1 min to 1 h',
    budget: 'after 1 h to 12 h',
  }[retry];
  return `${times}${line === true ? ', or when the line is back' : ''}${attempts === undefined ? '' : `, ${attempts} times in all`}`;
}

function named(states: readonly StateName[]): string {
  if (states.length === STATES.length) return 'any';
  if (states.length === BUSY.length && states.every((state) => BUSY.includes(state))) return 'any under way';
  if (states.length === STATES.length - BUSY.length) return 'any at rest';
  return states.join(', ');
}
