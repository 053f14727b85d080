import { createHash, createPublicKey, type KeyObject } from 'node:crypto';
import { type Static, type TSchema, Type } from '@sinclair/typebox';
import { type TypeCheck, TypeCompiler } from '@sinclair/typebox/compiler';
import type { TargetFile } from '@tufjs/models';
import {
  Certificate,
  ChunkReference,
  type InstallErrorCode,
  MAX_METADATA_BYTES,
  ReleaseDescriptor,
  ServerKeys,
} from '@vigie/protocol';
import { InstallError } from '../update/install-error.js';
import type { MetadataSession } from './metadata-source.js';

const chunksCheck = TypeCompiler.Compile(
  Type.Object({ chunks: Type.Optional(Type.Array(ChunkReference, { minItems: 1, maxItems: 64 })) }),
);
const descriptorCheck = TypeCompiler.Compile(ReleaseDescriptor);
const certificateCheck = TypeCompiler.Compile(Certificate);
const serverKeysCheck = TypeCompiler.Compile(ServerKeys);

/** SHA-256 under which a target is listed. Throws InstallError TUF_MISMATCH when there is none. */
export function hashOf({ path, hashes }: TargetFile): string {
  const { sha256 } = hashes;
  if (typeof sha256 !== 'string' || !/^[0-9a-f]{64}$/.test(sha256)) {
    throw new InstallError('TUF_MISMATCH', `${path} is listed without a SHA-256`);
  }
  return sha256;
}

/** Fetches a small target and checks it against what was signed. Throws InstallError TUF_*, or what the session throws. */
export async function fetchTarget(session: MetadataSession, target: TargetFile): Promise<Buffer> {
  const { path, length, custom } = target;
  const sha256 = hashOf(target);
  if (length > MAX_METADATA_BYTES) {
    throw new InstallError('TUF_TOO_LARGE', `${path} takes ${length} bytes, at most ${MAX_METADATA_BYTES} are allowed`);
  }
  if (!chunksCheck.Check(custom)) {
    throw new InstallError('TUF_MALFORMED', `${path}: custom.chunks is no list of chunks`);
  }
  const { chunks } = custom;
  const sum = chunks?.reduce((bytes, { size }) => bytes + size, 0);
  if (sum !== undefined && sum !== length) {
    throw new InstallError('TUF_MISMATCH', `${path}: its chunks make ${sum} bytes, it is listed with ${length}`);
  }
  const bytes = await session.target({ sha256, length, ...(chunks === undefined ? {} : { chunks }) });
  if (bytes.length !== length || createHash('sha256').update(bytes).digest('hex') !== sha256) {
    throw new InstallError('TUF_MISMATCH', `${path} is not what was signed`);
  }
  return bytes;
}

/** Throws InstallError DESCRIPTOR_INVALID. */
export function parseDescriptor(path: string, bytes: Buffer): ReleaseDescriptor {
  return parse(descriptorCheck, 'DESCRIPTOR_INVALID', path, bytes);
}

/** Throws InstallError TUF_MALFORMED. */
export function parseCertificate(path: string, bytes: Buffer): Certificate {
  return parse(certificateCheck, 'TUF_MALFORMED', path, bytes);
}

/** The listed keys (SPKI, PEM). Throws InstallError TUF_MALFORMED. */
export function parseServerKeys(path: string, bytes: Buffer): string[] {
  const { keys } = parse(serverKeysCheck, 'TUF_MALFORMED', path, bytes);
  for (const [index, pem] of keys.entries()) {
    if (readKeys([pem]).length === 0) {
      throw new InstallError('TUF_MALFORMED', `${path}: keys[${index}] is no Ed25519 public key in PEM`);
    }
  }
  return keys;
}

/** Those of them that are Ed25519 public keys. */
export function readKeys(pems: readonly string[]): KeyObject[] {
  return pems.flatMap((pem) => {
    try {
      const key = createPublicKey(pem);
      return key.asymmetricKeyType === 'ed25519' ? [key] : [];
    } catch {
      return [];
    }
  });
}

function parse<S extends TSchema>(check: TypeCheck<S>, code: InstallErrorCode, path: string, bytes: Buffer): Static<S> {
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch (error) {
    throw new InstallError(code, `${path}: ${(error as Error).message}`);
  }
  if (check.Check(value)) return value;
  const problem = check.Errors(value).First();
  throw new InstallError(code, `${path}${problem?.path}: ${problem?.message}`);
}
