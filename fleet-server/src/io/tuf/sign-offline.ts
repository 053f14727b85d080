import { type Static, type TSchema, Type } from '@sinclair/typebox';
import { Value } from '@sinclair/typebox/value';
import { OfferedSignatures } from '../../offered-signatures.js';
import { signWith } from './signed-document.js';
import type { SigningKey } from './signing-key.js';
import { STAGED_ROLES, Staged, StagedRoot, StagedTargets } from './staging.js';
import { TufError } from './tuf-error.js';

const One = Type.Union([StagedRoot, StagedTargets]);

/** Reads one staged file, or the answer of `GET /api/v1/tuf/staged`. Throws TufError DOCUMENT_INVALID. */
export function parseStaged(text: string, origin: string): Staged {
  const value = parseJson(text, origin);
  if (Value.Check(One, value))
    return value.signed._type === 'root' ? { root: value as StagedRoot } : { targets: value as StagedTargets };
  const staged = checked(Staged, value, origin, 'a staged file of this server (tuf/staged/*.json)');
  if (staged.root === undefined && staged.targets === undefined)
    throw new TufError('DOCUMENT_INVALID', `${origin}: nothing is staged; there is nothing to sign`);
  return staged;
}

/** Reads what `tuf sign` wrote. Throws TufError DOCUMENT_INVALID. */
export function parseSignatures(text: string, origin: string): OfferedSignatures {
  return checked(OfferedSignatures, parseJson(text, origin), origin, 'a file that "vigie-server tuf sign" wrote');
}

/** Signs what this key may sign. Throws TufError KEY_UNKNOWN when that is nothing. */
export function signStaged(staged: Staged, key: SigningKey): OfferedSignatures {
  const signatures = STAGED_ROLES.flatMap((role) => {
    const document = staged[role];
    if (document === undefined || !document.signers.some(({ keyids }) => keyids.includes(key.keyid))) return [];
    const { sig } = signWith({ signatures: [], signed: document.signed as unknown }, [key]).signatures[0];
    return [{ role, version: document.signed.version, keyid: key.keyid, sig }];
  });
  if (signatures.length > 0) return { signatures };
  throw new TufError(
    'KEY_UNKNOWN',
    `key ${key.keyid.slice(0, 8)} is no signer of what is staged; use the key of another role`,
  );
}

function parseJson(text: string, origin: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new TufError('DOCUMENT_INVALID', `${origin}: is no JSON: ${(error as Error).message}`);
  }
}

function checked<S extends TSchema>(schema: S, value: unknown, origin: string, what: string): Static<S> {
  const problem = Value.Errors(schema, value).First();
  if (problem === undefined) return value as Static<S>;
  throw new TufError(
    'DOCUMENT_INVALID',
    `${origin}: is not ${what}: ${problem.path || 'the document'}: ${problem.message}`,
  );
}
