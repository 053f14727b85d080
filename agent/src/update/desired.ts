import type { KeyObject } from 'node:crypto';
import { TypeCompiler } from '@sinclair/typebox/compiler';
import { Value } from '@sinclair/typebox/value';
import {
  Desired,
  decodeMessage,
  type InstallErrorCode,
  openEnvelope,
  PAYLOAD_TYPE,
  TrialPolicy,
} from '@vigie/protocol';

const desiredCheck = TypeCompiler.Compile(Desired);

export interface DesiredContext {
  deviceId: string;
  /** Ed25519 keys that may sign desired states. */
  trustedKeys: readonly KeyObject[];
  /** Newest generation accepted so far; 0 before the first. */
  lastGeneration: number;
}

export type OpenedDesired =
  | { kind: 'accepted'; desired: Desired }
  /** The newest accepted one again: brokers deliver retained messages at every reconnect. */
  | { kind: 'nothing' }
  | { kind: 'refused'; code: InstallErrorCode; message: string };

/** Opens what arrived on the desired topic. Nothing inside is believed before a trusted key's signature was checked. */
export function openDesired(bytes: Uint8Array, context: DesiredContext): OpenedDesired {
  const envelope = decodeMessage('desired', bytes);
  if (!envelope.ok) return refused('DESIRED_MALFORMED', `envelope ${envelope.code}: ${envelope.detail}`);
  const opened = openEnvelope(envelope.message, PAYLOAD_TYPE.desired, context.trustedKeys);
  if (!opened.ok) {
    return opened.code === 'ENVELOPE_TYPE_MISMATCH'
      ? refused('DESIRED_MALFORMED', `payload type is "${envelope.message.payloadType}"`)
      : refused(
          'DESIRED_SIGNATURE_INVALID',
          'no key of the server this board was enrolled with signed the desired state',
        );
  }
  let payload: unknown;
  try {
    payload = JSON.parse(opened.payload.toString('utf8'));
  } catch (error) {
    return refused('DESIRED_MALFORMED', (error as Error).message);
  }
  if (!desiredCheck.Check(payload)) {
    const problem = desiredCheck.Errors(payload).First();
    return refused('DESIRED_MALFORMED', `${problem?.path || '/'}: ${problem?.message}`);
  }
  const desired: Desired = payload;
  if (desired.deviceId !== context.deviceId) {
    return refused('DESIRED_WRONG_DEVICE', `meant for "${desired.deviceId}", this board is "${context.deviceId}"`);
  }
  if (desired.generation === context.lastGeneration) return { kind: 'nothing' };
  if (desired.generation < context.lastGeneration) {
    return refused(
      'DESIRED_STALE_GENERATION',
      `generation ${desired.generation} is older than ${context.lastGeneration}, which was accepted before`,
    );
  }
  return { kind: 'accepted', desired };
}

/** The thresholds of a trial: the schema's defaults where the desired state names none. */
export function trialPolicyOf(desired: Desired): TrialPolicy {
  return { ...Value.Create(TrialPolicy), ...desired.trial };
}

function refused(code: InstallErrorCode, message: string): OpenedDesired {
  return { kind: 'refused', code, message };
}
