import type { FileSystem, OpenFile } from '@vigie/agent/io/file-system';
import { nodeFileSystem } from '@vigie/agent/io/node-file-system';

const nothing = async (): Promise<void> => {};

/** A file that takes everything and keeps nothing. */
const FORGETFUL: OpenFile = {
  read: async () => ({ bytesRead: 0 }),
  write: async (_buffer, _offset, length) => ({ bytesWritten: length }),
  writeFile: nothing,
  appendFile: nothing,
  truncate: nothing,
  stat: async () => ({ size: 0 }),
  sync: nothing,
  datasync: nothing,
  close: nothing,
};

const isJournal = (path: string) => /\/outbox(\/|$)/.test(path);

/**
 * The disk of a simulated board. Nothing waits for a sync, for no power is ever cut here; and the outbox's journal, which is
 * read by the next start of a process only, goes nowhere: ten thousand of them would be ten thousand open files. The trusted
 * metadata is really there, because tuf-js reads and writes files by itself.
 */
export const volatileFiles: FileSystem = {
  ...nodeFileSystem,
  async open(path, flags, mode) {
    if (isJournal(path)) return FORGETFUL;
    const file = await nodeFileSystem.open(path, flags, mode);
    return {
      read: (buffer, offset, length, position) => file.read(buffer, offset, length, position),
      write: (buffer, offset, length, position) => file.write(buffer, offset, length, position),
      writeFile: (content) => file.writeFile(content),
      appendFile: (content) => file.appendFile(content),
      truncate: (size) => file.truncate(size),
      stat: () => file.stat(),
      sync: nothing,
      datasync: nothing,
      close: () => file.close(),
    };
  },
  list: async (path) => (isJournal(path) ? [] : nodeFileSystem.list(path)),
  mkdir: async (path, mode) => (isJournal(path) ? undefined : nodeFileSystem.mkdir(path, mode)),
  rm: async (path) => (isJournal(path) ? undefined : nodeFileSystem.rm(path)),
  syncDirectory: nothing,
};
