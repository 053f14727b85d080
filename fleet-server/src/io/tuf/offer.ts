import type { OfferedSignatures } from '../../offered-signatures.js';
import type { RootBody } from './metadata-schema.js';
import { validSigners } from './signed-document.js';
import type { Staged, StagedDocument } from './staging.js';
import { TufError } from './tuf-error.js';

/**
 * The staged documents with these signatures added. Each is checked by itself, and one that is not good refuses all.
 * Throws TufError STAGED_MISMATCH, KEY_UNKNOWN, SIGNATURE_INVALID.
 */
export function checkOffer(staged: Staged, keys: RootBody['keys'], offered: OfferedSignatures['signatures']): Staged {
  let result: Staged = staged;
  for (const { role, version, keyid, sig } of offered) {
    const document = result[role];
    if (document?.signed.version !== version) {
      const there = document === undefined ? `no ${role} is staged` : `${role} ${document.signed.version} is staged`;
      throw new TufError(
        'STAGED_MISMATCH',
        `signature of ${role} ${version}: ${there}; sign what is staged now (vigie-server tuf status)`,
      );
    }
    if (!document.signers.some(({ keyids }) => keyids.includes(keyid))) {
      throw new TufError(
        'KEY_UNKNOWN',
        `signature of ${role} ${version}: key ${keyid.slice(0, 8)} is none of its signers; use one of ${names(document)}`,
      );
    }
    const alone: StagedDocument = { ...document, signatures: [{ keyid, sig }] } as StagedDocument;
    if (validSigners(alone, { keyids: [keyid], threshold: 1 }, keys).length === 0) {
      throw new TufError(
        'SIGNATURE_INVALID',
        `signature of ${role} ${version} by key ${keyid.slice(0, 8)}: is not of what is staged now; fetch it again, and sign that`,
      );
    }
    const kept = document.signatures.filter((one) => one.keyid !== keyid);
    result = { ...result, [role]: { ...document, signatures: [...kept, { keyid, sig }] } };
  }
  return result;
}

function names({ signers }: StagedDocument): string {
  return [...new Set(signers.flatMap(({ keyids }) => keyids))].map((keyid) => keyid.slice(0, 8)).join(', ');
}
