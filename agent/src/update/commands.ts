import { TypeCompiler } from '@sinclair/typebox/compiler';
import { Command, decodeMessage, PAYLOAD_TYPE } from '@vigie/protocol';
import { openByKeyring, type ServerKeyring } from './server-keyring.js';

const commandCheck = TypeCompiler.Compile(Command);

/** Ids of commands done lately: at-least-once delivery must not run one twice. */
const REMEMBERED = 256;

export type OpenedCommand = { ok: true; command: Command } | { ok: false; reason: string };

/** Opens signed commands: right key, this device, not expired, not seen before. */
export class CommandGate {
  private readonly seen = new Set<string>();

  constructor(
    private readonly deviceId: string,
    private readonly trustedKeys: ServerKeyring,
  ) {}

  /** `now`: trusted wall time, ms since 1970. */
  open(bytes: Uint8Array, now: number): OpenedCommand {
    const envelope = decodeMessage('commands', bytes);
    if (!envelope.ok) return { ok: false, reason: envelope.code };
    const opened = openByKeyring(envelope.message, PAYLOAD_TYPE.command, this.trustedKeys);
    if (!opened.ok) return { ok: false, reason: opened.code };
    let command: unknown;
    try {
      command = JSON.parse(opened.payload.toString('utf8'));
    } catch {
      return { ok: false, reason: 'NOT_JSON' };
    }
    if (!commandCheck.Check(command)) return { ok: false, reason: 'SCHEMA' };
    if (command.deviceId !== this.deviceId) return { ok: false, reason: 'WRONG_DEVICE' };
    if (Date.parse(command.expiresAt) <= now) return { ok: false, reason: 'EXPIRED' };
    if (this.seen.has(command.id)) return { ok: false, reason: 'SEEN' };
    this.seen.add(command.id);
    if (this.seen.size > REMEMBERED) this.seen.delete(this.seen.values().next().value as string);
    return { ok: true, command };
  }
}
