import { judgeDrift } from '../devices/drift.js';
import type { ActivityRepository } from '../io/database/activity-repository.js';
import type { DriftPair, DriftRepository } from '../io/database/drift-repository.js';
import type { Now } from '../ports.js';
import { nextRun } from '../rollout/schedule.js';

export interface DriftRules {
  schedule: string;
  baselineHours: number;
  windowHours: number;
  minDetections: number;
  scorePsi: number;
  areaPsi: number;
  retrainSchedule: string;
}

const HOUR_MS = 3_600_000;

/** Compares what models see with what they saw at first, at the times of a schedule, and asks for retraining. */
export class DriftWatch {
  constructor(
    private readonly repository: DriftRepository,
    private readonly activity: ActivityRepository,
    private readonly rules: DriftRules,
    private readonly now: Now,
  ) {}

  /** What is due by the calendar. */
  async round(): Promise<void> {
    if (await this.#isDue('drift', this.rules.schedule)) await this.compare();
    if (await this.#isDue('retrain', this.rules.retrainSchedule)) {
      const entry = { at: this.now(), kind: 'retrain.wanted' as const, subject: 'fleet', actor: 'system' };
      await this.activity.add([{ ...entry, body: { reason: 'schedule' } }]);
    }
  }

  async compare(): Promise<void> {
    const { baselineHours, windowHours, minDetections } = this.rules;
    const now = this.now();
    await this.repository.keepBaselines(now, baselineHours, minDetections);
    const since = new Date(now.getTime() - windowHours * HOUR_MS);
    for await (const pairs of this.repository.pairs(since)) await this.#judge(pairs, now);
    await this.#judge(await this.repository.fleetPairs(since, now), now);
  }

  async #judge(pairs: readonly DriftPair[], now: Date): Promise<void> {
    const verdicts = pairs.flatMap(({ model, device, baseline, now: recent }) => {
      const verdict = judgeDrift(baseline, recent, this.rules);
      return verdict === null ? [] : [{ model, device, ...verdict }];
    });
    await this.repository.keep(verdicts, now);
  }

  async #isDue(name: string, expression: string): Promise<boolean> {
    if (expression === '') return false;
    const now = this.now();
    const next = nextRun(expression, 'UTC', now.getTime());
    return next !== null && (await this.repository.takeTurn(name, expression, now, new Date(next)));
  }
}
