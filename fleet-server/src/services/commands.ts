import { randomUUID } from 'node:crypto';
import { type Command, DELIVERY, deviceTopic, encodeMessage, PAYLOAD_TYPE } from '@vigie/protocol';
import type { CommandRecord, CommandRepository } from '../io/database/command-repository.js';
import type { Broker, Now, TargetRepository } from '../ports.js';
import { sealedByAll } from './sealed.js';

export type CommandResult =
  | { ok: true; command: CommandRecord }
  | { ok: false; code: 'DEVICE_UNKNOWN' | 'DEVICE_PENDING' | 'DEVICE_REVOKED'; detail: string };

export interface CommandOptions {
  actor: string;
  /** The board ignores it later than this, s. */
  expiresInSeconds: number;
}

/** One-off requests to boards: stored, then signed and sent; sent again when the board comes back in time. */
export class CommandService {
  constructor(
    private readonly repository: CommandRepository,
    private readonly broker: () => Broker,
    private readonly keys: Pick<TargetRepository, 'desiredKeys'>,
    private readonly now: Now,
  ) {}

  async send(deviceId: string, command: Command['command'], options: CommandOptions): Promise<CommandResult> {
    const standing = await this.repository.standing(deviceId);
    if (standing !== 'good') return refusal(deviceId, standing);
    const issuedAt = this.now();
    const record: CommandRecord = {
      ...{ id: randomUUID(), deviceId, command, createdBy: options.actor, issuedAt },
      expiresAt: new Date(issuedAt.getTime() + options.expiresInSeconds * 1000),
      ...{ answeredAt: null, ok: null, code: null, result: null },
    };
    const { answeredAt: _a, ok: _o, code: _c, result: _r, ...stored } = record;
    await this.repository.add(stored);
    this.#publish(record);
    return { ok: true, command: record };
  }

  /** Boards that are back hear what they may have missed; one that they have done already they know by its id. */
  async resend(deviceIds: readonly string[]): Promise<void> {
    for (const record of await this.repository.open(deviceIds, this.now())) this.#publish(record);
  }

  #publish({ deviceId, id, command, issuedAt, expiresAt }: CommandRecord): void {
    const payload: Command = {
      ...{ deviceId, id, command },
      ...{ issuedAt: issuedAt.toISOString(), expiresAt: expiresAt.toISOString() },
    };
    const envelope = sealedByAll(PAYLOAD_TYPE.command, payload, this.keys.desiredKeys());
    this.broker().publish(deviceTopic(deviceId, 'commands'), encodeMessage('commands', envelope), DELIVERY.commands);
  }
}

/** What became of a command. */
export function commandState({ answeredAt, expiresAt }: CommandRecord, now: Date): 'answered' | 'expired' | 'sent' {
  if (answeredAt !== null) return 'answered';
  return expiresAt <= now ? 'expired' : 'sent';
}

function refusal(deviceId: string, standing: 'unknown' | 'pending' | 'revoked'): Extract<CommandResult, { ok: false }> {
  switch (standing) {
    case 'unknown':
      return { ok: false, code: 'DEVICE_UNKNOWN', detail: `no device ${deviceId} is enrolled` };
    case 'pending':
      return { ok: false, code: 'DEVICE_PENDING', detail: `${deviceId} waits for approval; approve it first` };
    case 'revoked':
      return { ok: false, code: 'DEVICE_REVOKED', detail: `${deviceId} was shut out; enrol it again first` };
  }
}
