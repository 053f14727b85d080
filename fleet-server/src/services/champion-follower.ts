import type { ActivityRepository } from '../io/database/activity-repository.js';
import type { GateRepository } from '../io/database/gate-repository.js';

const READER = 'gates.champions';
const BATCH = 200;

/** Another champion is another limit: releases of its model that wait for a gate are judged anew. */
export class ChampionFollower {
  constructor(
    private readonly activity: ActivityRepository,
    private readonly gates: GateRepository,
  ) {}

  async follow(): Promise<void> {
    let after = (await this.activity.cursor(READER)) ?? 0;
    for (;;) {
      const entries = await this.activity.after(after, BATCH, ['release.promoted']);
      if (entries.length === 0) return;
      for (const name of new Set(entries.map(({ subject }) => subject.split('@')[0]))) await this.gates.mark(name);
      after = entries[entries.length - 1].id;
      await this.activity.cursorMove(READER, after);
      if (entries.length < BATCH) return;
    }
  }
}
