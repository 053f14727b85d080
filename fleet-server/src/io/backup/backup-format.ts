import { type Static, Type } from '@sinclair/typebox';

export const BACKUP_CODES = [
  'BACKUP_UNREADABLE',
  'BACKUP_DAMAGED',
  'BACKUP_TRUNCATED',
  'BACKUP_FOREIGN',
  'BACKUP_TOO_NEW',
  'PASSPHRASE_MISSING',
  'PASSPHRASE_WRONG',
  'FOLDER_NOT_EMPTY',
  'OUTPUT_EXISTS',
] as const;
export type BackupCode = (typeof BACKUP_CODES)[number];

/** Why a backup could not be made or restored; one line with the way out. */
export class BackupError extends Error {
  constructor(
    readonly code: BackupCode,
    message: string,
  ) {
    super(message);
  }
}

export const FORMAT = 1;
export const MANIFEST = 'manifest.json';
/** Folders of a data folder that go into a backup as they are. */
export const FOLDERS = ['tuf', 'keys', 'pki', 'blobs', 'snapshots'] as const;
/** Files of a data folder that go into a backup where they are there. */
export const FILES = ['notification-key', 'vigie-server.json'] as const;
/** What a file in a backup may be called. */
export const FILE_NAME =
  /^(database\/[a-z][a-z0-9_]{0,62}\/\d{6}\.jsonl|(tuf|keys|pki|blobs|snapshots)(\/(?!\.)[A-Za-z0-9._-]{1,128}){1,4}|notification-key|vigie-server\.json)$/;

/**
 * Tables that are not worth keeping: who is logged in, who holds a lease, uploads under way. A restored server starts
 * without them.
 */
export const LEFT_OUT: readonly string[] = ['sessions', 'leases', 'login_failures', 'idempotency_keys', 'uploads'];
/** Raw messages of boards, of which the rollups are kept: only when asked for. */
export const BULK: readonly string[] = ['telemetry'];
/** Tables that nothing points into and that may be of any size: read page by page, after the moment that the others are of. */
export const HISTORIES: readonly string[] = [
  ...BULK,
  ...['telemetry_minutes', 'telemetry_hours', 'events', 'reports', 'replies', 'snapshots', 'activity', 'audit'],
];

export const Manifest = Type.Object({
  format: Type.Integer({ minimum: 1 }),
  createdAt: Type.String(),
  server: Type.String(),
  /** Names of the migrations of the database, oldest first: the form of its tables. */
  migrations: Type.Array(Type.String({ pattern: '^\\d{4}_[a-z0-9_-]+$' }), { minItems: 1 }),
  tables: Type.Array(Type.Object({ name: Type.String(), rows: Type.Integer({ minimum: 0 }) })),
  files: Type.Array(
    Type.Object({
      name: Type.String(),
      bytes: Type.Integer({ minimum: 0 }),
      sha256: Type.String({ pattern: '^[0-9a-f]{64}$' }),
    }),
  ),
});
export type Manifest = Static<typeof Manifest>;
