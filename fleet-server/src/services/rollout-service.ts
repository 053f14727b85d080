import type { ActivityEntry } from '../io/database/activity-repository.js';
import type { ReleaseRepository } from '../io/database/release-repository.js';
import type { RolloutRepository } from '../io/database/rollout-repository.js';
import type { StoredRollout } from '../io/database/rollout-rows.js';
import type { RolloutWriter } from '../io/database/rollout-writer.js';
import type { Now } from '../ports.js';
import type { MissingLabel } from '../registry/label-contract.js';
import { notReleased } from '../registry/release-state.js';
import { specProblem } from '../rollout/check.js';
import { obey, type RolloutCommand } from '../rollout/commands.js';
import { type Member, NEW_PROGRESS, type StepInput } from '../rollout/model.js';
import { plan } from '../rollout/plan.js';
import { nextRun } from '../rollout/schedule.js';
import type { RolloutSpec } from '../rollout/spec.js';
import { ENDED } from '../rollout/states.js';
import type { LabelGuard } from './label-guard.js';
import type { DesiredPublisher } from './rollout-advance.js';
import { type CertifiedClasses, targetsOf } from './rollout-targets.js';

export type RolloutRefusal =
  | 'ROLLOUT_INVALID'
  | 'ROLLOUT_UNKNOWN'
  | 'ROLLOUT_STATE_FORBIDDEN'
  | 'ROLLOUT_WITHOUT_DEVICES'
  | 'APPROVAL_NEEDS_ANOTHER'
  | 'RELEASE_UNKNOWN'
  | 'RELEASE_NOT_RELEASED'
  | 'RELEASE_NOT_PUBLISHED'
  | 'LABELS_MISSING'
  | 'SERVER_BUSY';

export type Refused = { ok: false; code: RolloutRefusal; detail: string };

/** Which board would come into which wave. */
export interface RolloutPreview {
  waves: { name: string; devices: string[] }[];
  notCertified: { device: string; hardwareClass: string }[];
  /** Of a comparison: the boards that get the other release. */
  other: string[];
}

/** A rollout that was checked against the registry and the fleet. */
export interface Checked {
  ok: true;
  releaseId: number;
  otherReleaseId: number | null;
  targets: StepInput['targets'];
  members: Member[];
  /** Labels that rules of its boards need and that were overridden. */
  missing: readonly MissingLabels[];
  classes: Map<string, string>;
}

export interface MissingLabels {
  release: string;
  missing: readonly MissingLabel[];
}

/** A command that meets steps of the engine is decided anew so often. */
const ATTEMPTS = 20;

/** Makes rollouts and takes operators' commands. Boards are told by RolloutAdvance. */
export class RolloutService {
  constructor(
    private readonly repository: RolloutRepository,
    private readonly writer: RolloutWriter,
    private readonly releases: ReleaseRepository,
    private readonly labels: LabelGuard,
    private readonly publisher: Pick<DesiredPublisher, 'isPublished'>,
    private readonly certified: CertifiedClasses,
    private readonly now: Now,
    private readonly wake: () => void,
  ) {}

  /** What a rollout would do; nothing is stored. */
  async preview(spec: RolloutSpec): Promise<{ ok: true; preview: RolloutPreview } | Refused> {
    const checked = await this.#check(spec);
    return checked.ok ? { ok: true, preview: previewOf(spec, checked) } : checked;
  }

  /** Where its boards would stand. */
  planned(spec: RolloutSpec): Promise<Checked | Refused> {
    return this.#check(spec);
  }

  /** `start`: at once. */
  async create(
    spec: RolloutSpec,
    actor: string,
    options: { start?: boolean } = {},
  ): Promise<{ ok: true; rollout: StoredRollout; preview: RolloutPreview } | Refused> {
    const checked = await this.#check(spec);
    if (!checked.ok) return checked;
    const at = this.now();
    const startAt = startOf(spec, at);
    if (startAt === 'never') return refuse('ROLLOUT_INVALID', 'schedule.cron: names no time within five years');
    const preview = previewOf(spec, checked);
    const { release, waves } = spec;
    const text = `${release.name}@${release.version} in ${waves.length} waves to ${checked.members.length} boards, by ${actor}`;
    const counts = preview.waves.map(({ name, devices }) => ({ name, boards: devices.length }));
    const { missing } = checked;
    const inputs = {
      ...{ spec, waves: counts, notCertified: preview.notCertified.length, ...options },
      ...(missing.length === 0 ? {} : { missingLabels: missing }),
    };
    const overridden = missing.map((one): ActivityEntry => {
      const body = { missing: one.missing, reason: spec.overrideLabels?.reason, devices: checked.members.length };
      return { at, kind: 'release.labels-overridden', subject: one.release, actor, body };
    });
    const rollout = await this.writer.create(
      {
        ...{ spec, releaseId: checked.releaseId, otherReleaseId: checked.otherReleaseId, progress: NEW_PROGRESS },
        ...{ state: startAt === null ? 'ready' : 'scheduled', createdBy: actor, startAt },
      },
      { kind: 'created', wave: null, text, inputs },
      at,
      overridden,
    );
    if (options.start !== true) return { ok: true, rollout, preview };
    const started = await this.command(rollout.id, { kind: 'start' }, actor);
    return started.ok ? { ok: true, rollout: started.rollout, preview } : started;
  }

  /** Carries out a command: at once or not at all, however the rollout moves meanwhile. */
  async command(
    id: number,
    command: RolloutCommand,
    actor: string,
  ): Promise<{ ok: true; rollout: StoredRollout } | Refused> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      const rollout = await this.repository.find(id);
      if (rollout === null) return refuse('ROLLOUT_UNKNOWN', `there is no rollout ${id}`);
      const at = this.now();
      const done = obey(rollout, command, actor, at.getTime());
      if (!done.ok) return done;
      const { state, progress, startedAt, again, promote, decision } = done;
      const ended = ENDED.includes(state);
      const written = await this.writer.commit(rollout, {
        ...{ actor, at, state, progress, again, promote, decisions: [decision], members: [], desired: [] },
        startedAt: startedAt === null ? null : new Date(startedAt),
        endedAt: ended ? (rollout.endedAt ?? at) : null,
      });
      if (!written) continue;
      this.wake();
      const after = await this.repository.find(id);
      if (after !== null) return { ok: true, rollout: after };
    }
    return refuse('SERVER_BUSY', `rollout ${id} moves too fast for the command; try again`);
  }

  async #check(spec: RolloutSpec): Promise<Checked | Refused> {
    const problem = specProblem(spec);
    if (problem !== null) return refuse('ROLLOUT_INVALID', problem);
    const found = await this.#release(spec.release);
    if (!found.ok) return found;
    const other = spec.comparison === undefined ? null : await this.#release(spec.comparison.release);
    if (other !== null && !other.ok) return other;
    const ids = { releaseId: found.release.id, otherReleaseId: other?.release.id ?? null };
    const targets = await targetsOf(ids, this.repository, this.certified, (one) => this.publisher.isPublished(one));
    const boards = await this.repository.newcomers(ANY_ROLLOUT, spec.selector.devices);
    const members = plan(spec, boards, targets, NEW_PROGRESS);
    const told = members.filter(({ state }) => state === 'waiting');
    if (told.length === 0 && members.length > 0)
      return refuse(
        'ROLLOUT_WITHOUT_DEVICES',
        `${nameOf(spec.release)} is certified for none of the ${members.length} selected boards`,
      );
    if (told.length === 0 && !spec.follow)
      return refuse('ROLLOUT_WITHOUT_DEVICES', 'no board is selected, and it does not follow those that come');
    const missing: MissingLabels[] = [];
    for (const one of [found, ...(other === null ? [] : [other])]) {
      const labels = await this.labels.check(
        one.release,
        told.map(({ deviceId }) => deviceId),
      );
      if (labels.ok) continue;
      if (spec.overrideLabels === undefined) return refuse(labels.code, labels.detail);
      missing.push({ release: nameOf(one.release), missing: labels.missing });
    }
    return {
      ok: true,
      ...ids,
      targets,
      members,
      missing,
      classes: new Map(boards.map((board) => [board.id, board.hardwareClass])),
    };
  }

  async #release(wanted: { name: string; version: string }) {
    const release = await this.releases.find(wanted.name, wanted.version);
    if (release === null) return refuse('RELEASE_UNKNOWN', `${nameOf(wanted)} is not in the registry; upload it first`);
    const held = notReleased(release, 'rolled out');
    if (held !== null) return refuse('RELEASE_NOT_RELEASED', held);
    if (!this.publisher.isPublished(wanted))
      return refuse(
        'RELEASE_NOT_PUBLISHED',
        `${nameOf(wanted)} waits for signatures of the publisher, boards would refuse it; see GET /api/v1/tuf`,
      );
    return { ok: true as const, release };
  }
}

/** No rollout is newer than this one, and none has its members: all boards are new to it. */
const ANY_ROLLOUT = 2_147_483_647;

function startOf({ schedule }: RolloutSpec, at: Date): Date | null | 'never' {
  if (schedule === undefined) return null;
  if ('startAt' in schedule) return new Date(schedule.startAt);
  const next = nextRun(schedule.cron, schedule.timeZone ?? 'UTC', at.getTime());
  return next === null ? 'never' : new Date(next);
}

function previewOf(spec: RolloutSpec, { members, classes }: Checked): RolloutPreview {
  const waves = spec.waves.map(({ name }) => ({ name, devices: [] as string[] }));
  const preview: RolloutPreview = { waves, notCertified: [], other: [] };
  for (const { deviceId, state, wave, cohort } of members) {
    if (state === 'not-certified') {
      preview.notCertified.push({ device: deviceId, hardwareClass: classes.get(deviceId) ?? '' });
      continue;
    }
    waves[wave].devices.push(deviceId);
    if (cohort === 'B') preview.other.push(deviceId);
  }
  return preview;
}

function nameOf({ name, version }: { name: string; version: string }): string {
  return `${name}@${version}`;
}

function refuse(code: RolloutRefusal, detail: string): Refused {
  return { ok: false, code, detail };
}
