import { readFile } from 'node:fs/promises';
import { ConfigError, type ServerConfig } from '../config.js';
import { FolderObjectStore } from '../io/folder-object-store.js';
import { S3Client } from '../io/s3-client.js';
import { s3Credentials } from '../io/s3-credentials.js';
import { S3ObjectStore } from '../io/s3-object-store.js';
import type { ObjectStore } from '../ports.js';

export interface Objects {
  /** Files of releases, certificates, lists of keys. */
  blobs: ObjectStore;
  /** Pictures of events. */
  pictures: ObjectStore;
}

/** The stores that the configuration names; folders without a URL. Throws ConfigError, S3CredentialsError. */
export async function openObjects(
  { url, endpoint, region, credentialsFile, caFile }: ServerConfig['objects'],
  paths: { blobs: string; snapshots: string; temporary: string },
  environment: NodeJS.ProcessEnv = process.env,
): Promise<Objects> {
  if (url === undefined) {
    return {
      blobs: await FolderObjectStore.open(paths.blobs),
      pictures: await FolderObjectStore.open(paths.snapshots),
    };
  }
  const [, name, path] = /^s3:\/\/([^/]+)\/?(.*)$/.exec(url) as unknown as [string, string, string];
  const credentials = s3Credentials(credentialsFile, environment, () => performance.now());
  await credentials();
  const bucket =
    endpoint === undefined ? `https://${name}.s3.${region}.amazonaws.com/` : `${endpoint.replace(/\/$/, '')}/${name}/`;
  const ca = caFile === undefined ? undefined : await readCa(caFile);
  const client = new S3Client({ name, url: bucket, region, credentials, ca });
  const prefix = path.replace(/\/*$/, path === '' ? '' : '/');
  const store = (part: string) =>
    new S3ObjectStore({ client, prefix: `${prefix}${part}/`, temporary: paths.temporary });
  return { blobs: store('blobs'), pictures: store('snapshots') };
}

async function readCa(path: string): Promise<string> {
  return readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new ConfigError(`objects.caFile: ${path} cannot be read (${error.code}); name an existing file`);
  });
}
