import { randomUUID } from 'node:crypto';
import { Value } from '@sinclair/typebox/value';
import {
  BenchmarkResult,
  type Command,
  DELIVERY,
  deviceTopic,
  encodeMessage,
  PAYLOAD_TYPE,
  sealEnvelope,
} from '@vigie/protocol';
import type { Logger } from 'pino';
import type { LabRecord, LabRepository, OpenLabBenchmark } from '../io/database/lab-repository.js';
import type { ReleaseRecord } from '../io/database/release-repository.js';
import type { Broker, Now, TargetRepository } from '../ports.js';
import type { BenchmarkIntake } from './benchmark-intake.js';
import type { GateJudge } from './gate-judge.js';
import type { Publication } from './publication.js';

/** Requests looked at in one round. */
const ROUND = 200;
/** A board that began in time may answer so much later, ms. */
const GRACE_MS = 60_000;

export interface LabRequest {
  /** Of the lab; absent: every board of it that is online (of these classes). */
  devices?: readonly string[];
  hardwareClasses?: readonly string[];
  samples: number;
}

export type LabResult =
  | { ok: true; asked: LabRecord[] }
  | { ok: false; code: 'LAB_BOARD_MISSING' | 'RELEASE_WITHDRAWN' | 'RELEASE_NOT_PUBLISHED'; detail: string };

export interface LabParts {
  lab: LabRepository;
  intake: BenchmarkIntake;
  judge: Pick<GateJudge, 'judge'>;
  publication: Pick<Publication, 'publishReleases' | 'isPublished'>;
  tuf: Pick<TargetRepository, 'desiredKeys'>;
  broker: Broker;
  timeoutSeconds: number;
  log: Logger;
  now: Now;
}

/** Asks boards of the lab to measure releases that no gate has certified yet, and takes in what they answer. */
export class LabBenchmarks {
  constructor(private readonly parts: LabParts) {}

  async ask(release: ReleaseRecord, request: LabRequest, actor: string): Promise<LabResult> {
    const { lab, publication, timeoutSeconds, now } = this.parts;
    const label = `${release.name}@${release.version}`;
    if (release.state === 'withdrawn')
      return { ok: false, code: 'RELEASE_WITHDRAWN', detail: `${label} was withdrawn; no gate judges it any more` };
    if (!publication.isPublished(release)) {
      const detail = `${label} waits for signatures of the publisher, boards would refuse it; see GET /api/v1/tuf`;
      return { ok: false, code: 'RELEASE_NOT_PUBLISHED', detail };
    }
    const boards = await lab.boards();
    const { devices, hardwareClasses, samples } = request;
    const strangers = devices?.filter((id) => !boards.some((board) => board.id === id)) ?? [];
    if (strangers.length > 0) {
      const detail = `${strangers.slice(0, 10).join(', ')}: no board of the lab; enrol it with a token of the role lab`;
      return { ok: false, code: 'LAB_BOARD_MISSING', detail };
    }
    const meant = boards.filter(
      ({ id, hardwareClass, online }) =>
        (devices?.includes(id) ?? online) && (hardwareClasses?.includes(hardwareClass) ?? true),
    );
    if (meant.length === 0) {
      const detail = 'no board of the lab that fits is online; connect one, or enrol one with a token of the role lab';
      return { ok: false, code: 'LAB_BOARD_MISSING', detail };
    }
    const at = now();
    const rows = meant.map(({ id: deviceId }) => ({
      ...{ id: randomUUID(), releaseId: release.id, deviceId, samples, requestedBy: actor, requestedAt: at },
      expiresAt: new Date(at.getTime() + timeoutSeconds * 1000),
    }));
    await lab.add(rows);
    // First the bytes, then the word.
    await publication.publishReleases();
    for (const row of rows) this.#send(row, release);
    return {
      ok: true,
      asked: rows.map((row) => ({ ...row, state: 'asked', code: null, detail: null, resultId: null })),
    };
  }

  /** Takes in what boards answered since, and gives up those that did not. May be repeated at any time. */
  async collect(): Promise<void> {
    const open = await this.parts.lab.open(ROUND);
    let ended = 0;
    for (const one of open) if (await this.#settle(one)) ended += 1;
    // What nobody measures any more need not be on the wire.
    if (ended > 0) await this.parts.publication.publishReleases();
  }

  async #settle(one: OpenLabBenchmark): Promise<boolean> {
    const { lab, intake, judge, now, log } = this.parts;
    const { id, deviceId, release, hardwareClass, reply, expiresAt } = one;
    if (reply === null) {
      if (now().getTime() < expiresAt.getTime() + GRACE_MS) return false;
      const detail = `${deviceId} gave no result by ${expiresAt.toISOString()}`;
      await lab.settle(id, { state: 'expired', code: 'BENCHMARK_NOT_ANSWERED', detail, resultId: null }, now());
      return true;
    }
    const refuse = async (code: string, detail: string) => {
      log.warn({ deviceId, code, detail, release: `${release.name}@${release.version}` }, 'no benchmark from the lab');
      const end = { state: 'refused' as const, code: code.slice(0, 64), detail: detail.slice(0, 500), resultId: null };
      await lab.settle(id, end, now());
      return true;
    };
    if (!reply.ok) return refuse(reply.code ?? 'FAILED', typeof reply.result === 'string' ? reply.result : '');
    if (!Value.Check(BenchmarkResult, reply.result))
      return refuse('RESULT_INVALID', 'the answer holds no BenchmarkResult');
    const result = reply.result;
    if (result.release?.digest !== release.digest) return refuse('RESULT_INVALID', 'another release was measured');
    // What the board was enrolled as counts, not what it says of itself.
    const sure = { ...result, release, platform: { ...result.platform, hardwareClass } };
    const added = await intake.add(sure, { source: 'lab', deviceId, actor: deviceId });
    if (!added.ok) return refuse(added.code, added.detail);
    await lab.settle(id, { state: 'answered', code: null, detail: null, resultId: added.id }, now());
    await judge.judge(added.release.id);
    return true;
  }

  /** Signed by every key that counts: a board may know only the old one, or only the new one. */
  #send(
    { id, deviceId, samples, requestedAt, expiresAt }: Parameters<LabRepository['add']>[0][number],
    release: ReleaseRecord,
  ) {
    const { tuf, broker, timeoutSeconds } = this.parts;
    const { name, version, digest } = release;
    const command: Command = {
      ...{ deviceId, id, issuedAt: requestedAt.toISOString(), expiresAt: expiresAt.toISOString() },
      command: { kind: 'benchmark', release: { name, version, digest }, samples, timeoutSeconds },
    };
    const [first, ...others] = tuf.desiredKeys().map((key) => sealEnvelope(PAYLOAD_TYPE.command, command, key));
    const envelope = { ...first, signatures: [first, ...others].flatMap(({ signatures }) => signatures) };
    broker.publish(deviceTopic(deviceId, 'commands'), encodeMessage('commands', envelope), DELIVERY.commands);
  }
}
