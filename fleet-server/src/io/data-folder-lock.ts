import { randomBytes } from 'node:crypto';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import { join } from 'node:path';

/** The data folder is in use: PGlite may be opened by one process at a time. */
export class DataFolderLockedError extends Error {
  readonly code = 'DATA_FOLDER_LOCKED';
}

export interface DataFolderLock {
  release(): Promise<void>;
}

const NAME = 'lock.sock';

/**
 * Locks a data folder by listening on two Unix sockets: an abstract one named by the folder's inode, which the kernel
 * takes away however the process ends, and one inside the folder, which other containers that share it see, too. No
 * process id can be mistaken for another. Throws DataFolderLockedError.
 */
export async function lockDataFolder(directory: string): Promise<DataFolderLock> {
  const folder = await open(directory, 'r');
  const { dev, ino } = await folder.stat();
  const abstract = process.platform === 'linux' ? await listen(`\0vigie-server-${dev}-${ino}`) : undefined;
  const inside = abstract === null ? null : await listenInside(directory, folder);
  const close = async () => {
    for (const server of [inside, abstract]) {
      if (server) await new Promise<void>((resolve) => server.close(() => resolve()));
    }
    await folder.close();
  };
  if (inside !== null) return { release: close };
  await close();
  throw new DataFolderLockedError(
    `${directory}: another vigie-server runs on this data folder; stop it or use another --data`,
  );
}

async function listenInside(directory: string, folder: FileHandle): Promise<Server | null> {
  // A socket's path may have 107 bytes at most; through the open folder it is always short.
  const base = process.platform === 'linux' ? `/proc/self/fd/${folder.fd}` : directory;
  const path = join(base, NAME);
  for (let attempt = 0; attempt < 5; attempt += 1) {
    const server = await listen(path);
    if (server !== null) return server;
    if (await answers(path)) return null;
    // A dead owner's socket. Take it aside first: if another starter was faster, it is alive under its new name.
    const aside = join(base, `${NAME}.${randomBytes(6).toString('hex')}`);
    await rename(path, aside).catch(() => undefined);
    if (await answers(aside)) {
      await rename(aside, path);
      return null;
    }
    await rm(aside, { force: true });
  }
  return null;
}

function listen(path: string): Promise<Server | null> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EADDRINUSE' ? resolve(null) : reject(error),
    );
    server.listen(path, () => {
      server.unref();
      resolve(server);
    });
  });
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path, () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
