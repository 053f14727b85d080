import { readFile } from 'node:fs/promises';

export interface S3Credentials {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string;
}

/** Credentials are missing or cannot be read; the message names where from. */
export class S3CredentialsError extends Error {
  readonly code = 'S3_CREDENTIALS_INVALID';
}

/** A file is read again so often, so that rotated credentials count without a restart, ms. */
const EVERY_MS = 60_000;

/**
 * Gives credentials from a file as the AWS tools write it (`aws_access_key_id = …`, section `[default]`, or none), or from
 * AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN. `at`: a clock that only grows, ms. The giver throws S3CredentialsError.
 */
export function s3Credentials(
  file: string | undefined,
  environment: NodeJS.ProcessEnv,
  at: () => number,
): () => Promise<S3Credentials> {
  let known: S3Credentials | null = null;
  let until = Number.NEGATIVE_INFINITY;
  return async () => {
    if (known !== null && at() < until) return known;
    known = file === undefined ? fromEnvironment(environment) : parse(await read(file), file);
    until = at() + EVERY_MS;
    return known;
  };
}

function fromEnvironment(environment: NodeJS.ProcessEnv): S3Credentials {
  const { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey } = environment;
  const { AWS_SESSION_TOKEN: sessionToken } = environment;
  if (!accessKeyId || !secretAccessKey) {
    throw new S3CredentialsError(
      'objects: no credentials; name a file by objects.credentialsFile, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY',
    );
  }
  return { accessKeyId, secretAccessKey, ...(sessionToken ? { sessionToken } : {}) };
}

function parse(text: string, file: string): S3Credentials {
  const values = new Map<string, string>();
  let section = 'default';
  for (const line of text.split(/\r?\n/)) {
    const heading = /^\s*\[\s*([^\]]+?)\s*\]\s*$/.exec(line)?.[1];
    if (heading !== undefined) section = heading;
    const [, key, value] = /^\s*(aws_\w+)\s*=\s*(\S+)\s*$/.exec(line) ?? [];
    if (key !== undefined && section === 'default') values.set(key, value);
  }
  const accessKeyId = values.get('aws_access_key_id');
  const secretAccessKey = values.get('aws_secret_access_key');
  const sessionToken = values.get('aws_session_token');
  if (accessKeyId === undefined || secretAccessKey === undefined) {
    throw new S3CredentialsError(
      `objects.credentialsFile: ${file} holds no aws_access_key_id and aws_secret_access_key under [default]; write both`,
    );
  }
  return { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) };
}

async function read(file: string): Promise<string> {
  return readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new S3CredentialsError(
      `objects.credentialsFile: ${file} cannot be read (${error.code}); name an existing file`,
    );
  });
}
