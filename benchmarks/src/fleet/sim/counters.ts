/** What a simulated board has done so far; every field only grows. */
export interface BoardCounters {
  /** Connections that the broker accepted. */
  connections: number;
  /** Desired states whose signature was checked and that were taken up. */
  desiredAccepted: number;
  /** Those that were refused: a wrong signature, another board's, an old generation. */
  desiredRefused: number;
  /** Updates of TUF metadata that were verified from the root down. */
  tufUpdates: number;
  /** Signed documents that were checked: envelopes of desired states and TUF roles. */
  signaturesVerified: number;
  /** Bytes that were compared with a signed SHA-256: descriptors, certificates and chunks. */
  hashesVerified: number;
  chunksFetched: number;
  /** Payload of those chunks. */
  chunkBytes: number;
  installsStarted: number;
  committed: number;
  rolledBack: number;
  inconclusive: number;
  failed: number;
  telemetrySent: number;
  /** Event messages put into the outbox. */
  eventsSent: number;
  commandsAnswered: number;
}

export const NO_COUNTS: Readonly<BoardCounters> = {
  connections: 0,
  desiredAccepted: 0,
  desiredRefused: 0,
  tufUpdates: 0,
  signaturesVerified: 0,
  hashesVerified: 0,
  chunksFetched: 0,
  chunkBytes: 0,
  installsStarted: 0,
  committed: 0,
  rolledBack: 0,
  inconclusive: 0,
  failed: 0,
  telemetrySent: 0,
  eventsSent: 0,
  commandsAnswered: 0,
};

export function addCounts(a: BoardCounters, b: BoardCounters): BoardCounters {
  const sum = { ...a };
  for (const name of Object.keys(sum) as (keyof BoardCounters)[]) sum[name] += b[name];
  return sum;
}
