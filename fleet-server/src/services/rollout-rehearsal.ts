import { seededRandom } from '@vigie/protocol';
import type { RolloutHistory } from '../io/database/rollout-history.js';
import type { Now } from '../ports.js';
import { missingBytes } from '../rollout/missing-bytes.js';
import { type Rehearsal, type RehearsedBoard, rehearse } from '../rollout/rehearsal.js';
import type { RolloutSpec } from '../rollout/spec.js';
import type { Refused, RolloutService } from './rollout-service.js';

/** The same history gives the same prediction. */
const SEED = 1;

/** Says before a rollout how long it may take, what it sends, and which boards will lag behind. */
export class RolloutRehearsal {
  constructor(
    private readonly rollouts: Pick<RolloutService, 'planned'>,
    private readonly history: RolloutHistory,
    private readonly now: Now,
  ) {}

  async rehearse(spec: RolloutSpec): Promise<{ ok: true; rehearsal: Rehearsal } | Refused> {
    const planned = await this.rollouts.planned(spec);
    if (!planned.ok) return planned;
    const boards = await this.history.boards();
    const running = new Set([...boards.values()].flatMap(({ digest }) => (digest === null ? [] : [digest])));
    const targets = { A: planned.targets.A.release.digest, B: planned.targets.B?.release.digest };
    const wanted = Object.values(targets).filter((digest) => digest !== undefined);
    const descriptors = await this.history.descriptors([...new Set([...running, ...wanted])]);
    const sizes = new Map<string, number>();
    const missing = (target: string, held: string | null): number => {
      const key = `${target}/${held}`;
      const known = sizes.get(key);
      if (known !== undefined) return known;
      const descriptor = descriptors.get(target);
      const size = descriptor ? missingBytes(descriptor, (held && descriptors.get(held)) || null) : 0;
      sizes.set(key, size);
      return size;
    };
    const at = this.now().getTime();
    const rehearsed = planned.members
      .filter(({ state }) => state === 'waiting')
      .map(({ deviceId, wave, cohort }): RehearsedBoard => {
        const { online, presenceAt, digest } = boards.get(deviceId) ?? {
          online: false,
          presenceAt: null,
          digest: null,
        };
        const offlineSeconds = online || presenceAt === null ? null : (at - presenceAt.getTime()) / 1000;
        const bytes = missing(targets[cohort] ?? targets.A, digest);
        const hardwareClass = planned.classes.get(deviceId) ?? '';
        return { id: deviceId, wave, hardwareClass, online, offlineSeconds, missingBytes: bytes };
      });
    return { ok: true, rehearsal: rehearse(spec, rehearsed, await this.history.installs(), seededRandom(SEED)) };
  }
}
