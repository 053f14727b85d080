export interface CountRow {
  running: string | null;
  phase: string | null;
  class: string;
  total: number;
  online: number;
  in_sync: number;
  pending: number;
  failing: number;
}

/** How many boards. */
export interface DeviceCounts {
  total: number;
  online: number;
  inSync: number;
  /** Wait for approval. */
  pending: number;
  /** Report an error. */
  failing: number;
  /** By `name@version`; empty text: nothing is running, or nothing was reported. */
  byRunning: Record<string, number>;
  byPhase: Record<string, number>;
  byHardwareClass: Record<string, number>;
}

export function summed(rows: readonly CountRow[]): DeviceCounts {
  const counts: DeviceCounts = {
    ...{ total: 0, online: 0, inSync: 0, pending: 0, failing: 0 },
    ...{ byRunning: {}, byPhase: {}, byHardwareClass: {} },
  };
  const add = (to: Record<string, number>, key: string, count: number) => {
    to[key] = (to[key] ?? 0) + count;
  };
  for (const row of rows) {
    counts.total += row.total;
    counts.online += row.online;
    counts.inSync += row.in_sync;
    counts.pending += row.pending;
    counts.failing += row.failing;
    add(counts.byRunning, row.running ?? '', row.total);
    add(counts.byPhase, row.phase ?? '', row.total);
    add(counts.byHardwareClass, row.class, row.total);
  }
  return counts;
}
