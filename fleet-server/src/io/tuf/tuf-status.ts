import { keyidsOf } from './key-changes.js';
import { KEY_PURPOSES, type KeyPurpose } from './key-folder.js';
import { validSigners } from './signed-document.js';
import { knownKeys, type StagedRole } from './staging.js';
import type { TufRepository } from './tuf-repository.js';

/** What `vigie-server tuf status` and `GET /api/v1/tuf` tell. */
export interface TufStatus {
  roles: { role: KeyPurpose; version: number | null; expires: string | null; threshold: number; keys: KeyStatus[] }[];
  staged: { role: StagedRole; version: number; missing: number; signedBy: string[]; signers: string[] }[];
  warnings: string[];
}

interface KeyStatus {
  keyid: string;
  /** Is the private half in the keys folder? */
  here: boolean;
  /** `coming`: counts once what is staged is published; `leaving`: no longer then. */
  state: 'present' | 'coming' | 'leaving';
}

export function tufStatus(repository: TufRepository): TufStatus {
  const { state, staged } = repository;
  const { roles } = state.root.document.signed;
  const present = (purpose: KeyPurpose): string[] => {
    if (purpose === 'desired') return repository.serverKeyIds();
    if (purpose === 'certified') return state.targets.document.signed.delegations?.roles[0].keyids ?? [];
    return roles[purpose].keyids;
  };
  const keys = (purpose: KeyPurpose): KeyStatus[] => {
    const now = present(purpose);
    const coming = keyidsOf(repository, purpose);
    return [...new Set([...now, ...coming])].map((keyid) => ({
      keyid,
      here: repository.keys.has(keyid),
      state: !now.includes(keyid) ? 'coming' : coming.includes(keyid) ? 'present' : 'leaving',
    }));
  };
  const known = knownKeys(state, staged);
  return {
    roles: KEY_PURPOSES.map((role) => {
      const signed = role === 'desired' ? null : state[role].document.signed;
      const threshold = role === 'desired' || role === 'certified' ? 1 : roles[role].threshold;
      return {
        role,
        version: signed?.version ?? null,
        expires: signed?.expires ?? null,
        threshold,
        keys: keys(role),
      };
    }),
    staged: repository.waiting().map(({ role, version, missing }) => {
      const document = staged[role];
      const signers = [...new Set((document?.signers ?? []).flatMap(({ keyids }) => keyids))];
      const signedBy = document === undefined ? [] : validSigners(document, { keyids: signers, threshold: 1 }, known);
      return { role, version, missing, signedBy, signers };
    }),
    warnings: repository.warnings(),
  };
}
