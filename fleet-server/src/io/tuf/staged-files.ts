import { Value } from '@sinclair/typebox/value';
import { STAGED_ROLES, type Staged, StagedRoot, StagedTargets } from './staging.js';
import type { TrustWrite } from './trust-storage.js';
import { TufError } from './tuf-error.js';

const SCHEMAS = { root: StagedRoot, targets: StagedTargets } as const;
const nameOf = (role: keyof typeof SCHEMAS) => `staged/${role}.json`;

/** `staged/root.json` and `staged/targets.json` among the repository's files. Throws TufError. */
export function loadStaged(place: string, files: ReadonlyMap<string, Buffer>): Staged {
  const staged: Record<string, unknown> = {};
  for (const role of STAGED_ROLES) {
    const bytes = files.get(nameOf(role));
    if (bytes !== undefined) staged[role] = parse(bytes.toString(), role, `${place}/${nameOf(role)}`);
  }
  return staged as Staged;
}

/** What makes the files equal to `after`. */
export function stagedWrites(before: Staged, after: Staged): TrustWrite[] {
  return STAGED_ROLES.filter((role) => after[role] !== before[role]).map((role) => {
    const document = after[role];
    return { name: nameOf(role), bytes: document === undefined ? null : JSON.stringify(document) };
  });
}

function parse(text: string, role: keyof typeof SCHEMAS, path: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    if (Value.Check(SCHEMAS[role], value)) return value;
  } catch {
    // Told below.
  }
  throw new TufError('DOCUMENT_INVALID', `${path}: is damaged; delete it, and stage the change again`);
}
