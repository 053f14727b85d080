import type { Buffer } from 'node:buffer';

/** How a file is opened: to read; to read and write; new (fails when it exists); at its end. */
export type OpenFlags = 'r' | 'r+' | 'wx' | 'wx+' | 'a';

/** An open file: the part of `node:fs/promises`' FileHandle that we use, with its meaning and its errors. */
export interface OpenFile {
  read(buffer: Uint8Array, offset: number, length: number, position: number): Promise<{ bytesRead: number }>;
  /** May write less than asked, as a disk may. */
  write(buffer: Uint8Array, offset: number, length: number, position: number): Promise<{ bytesWritten: number }>;
  /** Writes all of it from the file's start; for a file just created. */
  writeFile(content: string | Uint8Array): Promise<void>;
  /** Adds to the end of a file opened with `a`. */
  appendFile(content: string | Uint8Array): Promise<void>;
  truncate(size: number): Promise<void>;
  stat(): Promise<{ size: number }>;
  /** fsync: content and size survive a power cut from here on; the file's name does only after its folder's sync. */
  sync(): Promise<void>;
  /** fdatasync: the same without times. */
  datasync(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Everything that the agent does to what must survive a power cut goes through this port, so that a test can cut the power
 * after each operation. Errors are Node's (`code` ENOENT, EIO, ENOSPC …).
 */
export interface FileSystem {
  open(path: string, flags: OpenFlags, mode?: number): Promise<OpenFile>;
  readFile(path: string): Promise<Buffer>;
  /** Names in a folder; `directory` says which are folders themselves. */
  list(path: string): Promise<{ name: string; directory: boolean }[]>;
  stat(path: string): Promise<{ size: number; directory: boolean }>;
  /** Free bytes for us on the disk that holds `path`. */
  freeBytes(path: string): Promise<number>;
  /** With the folders above it where they are missing; nothing when it is there. */
  mkdir(path: string, mode?: number): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  /** A file, or a folder with all in it; nothing when it is not there. */
  rm(path: string): Promise<void>;
  copyFile(from: string, to: string): Promise<void>;
  /** fsync of a folder: names made, moved and removed in it survive a power cut from here on. */
  syncDirectory(path: string): Promise<void>;
}
