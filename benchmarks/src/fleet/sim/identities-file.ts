import { readFile, writeFile } from 'node:fs/promises';
import type { Identity } from '@vigie/agent/io/identity';

/** What all boards of a fleet share is written once: ten thousand roots of trust would be eighty megabytes. */
interface Document {
  shared: Pick<Identity, 'authorities' | 'mqtt' | 'https' | 'serverKeys' | 'tufRoot'>;
  boards: Pick<Identity, 'deviceId' | 'certificate' | 'privateKey' | 'hardwareClass' | 'enrolledAt'>[];
}

/** Writes identities of one fleet, private keys included: mode 0600. Throws RangeError without any. */
export async function writeIdentities(path: string, identities: readonly Identity[]): Promise<void> {
  const [first] = identities;
  if (first === undefined) throw new RangeError('no identities to write');
  const { authorities, mqtt, https, serverKeys, tufRoot } = first;
  const boards = identities.map(({ deviceId, certificate, privateKey, hardwareClass, enrolledAt }) => ({
    ...{ deviceId, certificate, privateKey, hardwareClass, enrolledAt },
  }));
  const document: Document = { shared: { authorities, mqtt, https, serverKeys, tufRoot }, boards };
  await writeFile(path, JSON.stringify(document), { mode: 0o600 });
}

/** Those that stand at `from` (inclusive) to `to` (exclusive); null when there is no such file. */
export async function readIdentities(
  path: string,
  from = 0,
  to = Number.POSITIVE_INFINITY,
): Promise<Identity[] | null> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  const { shared, boards } = JSON.parse(text) as Document;
  return boards.slice(from, to).map((board) => ({ ...shared, ...board }));
}
