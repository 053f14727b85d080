import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Value } from '@sinclair/typebox/value';
import { privateFolder } from '../atomic-file.js';
import { STAGED_ROLES, type Staged, StagedRoot, StagedTargets } from './staging.js';
import type { TrustWriter } from './trust-files.js';
import { TufError } from './tuf-error.js';

const SCHEMAS = { root: StagedRoot, targets: StagedTargets } as const;

/** `staged/root.json` and `staged/targets.json` of the repository's folder. */
export class StagedFiles {
  constructor(
    private readonly directory: string,
    private readonly writer: TrustWriter,
  ) {}

  async load(): Promise<Staged> {
    await privateFolder(this.directory);
    const staged: Record<string, unknown> = {};
    for (const role of STAGED_ROLES) {
      const path = join(this.directory, `${role}.json`);
      const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return null;
        throw error;
      });
      if (text === null) continue;
      staged[role] = parse(text, role, path);
    }
    return staged as Staged;
  }

  /** Makes the files equal to this. */
  async save(before: Staged, after: Staged): Promise<void> {
    for (const role of STAGED_ROLES) {
      const path = join(this.directory, `${role}.json`);
      const document = after[role];
      if (document === before[role]) continue;
      if (document === undefined) await this.writer.remove(path);
      else await this.writer.write(path, JSON.stringify(document));
    }
  }
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
