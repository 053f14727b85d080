import { TypeCompiler } from '@sinclair/typebox/compiler';
import { Value } from '@sinclair/typebox/value';
import { Desired, decodeMessage, type InstallErrorCode, PAYLOAD_TYPE, TrialPolicy } from '@vigie/protocol';
import { openByKeyring, type ServerKeyring } from './server-keyring.js';

const desiredCheck = TypeCompiler.Compile(Desired);

export interface DesiredContext {
  deviceId: string;
  /** Who may sign desired states now. */
  trustedKeys: ServerKeyring;
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
  const opened = openByKeyring(envelope.message, PAYLOAD_TYPE.desired, context.trustedKeys);
  if (!opened.ok) {
    switch (opened.code) {
      case 'ENVELOPE_TYPE_MISMATCH':
        return refused('DESIRED_MALFORMED', `payload type is "${envelope.message.payloadType}"`);
      case 'ENVELOPE_KEY_REVOKED':
        return refused('DESIRED_KEY_REVOKED', 'signed by a key of the server that was revoked');
      case 'ENVELOPE_SIGNATURE_INVALID':
        return refused('DESIRED_SIGNATURE_INVALID', 'no key of the server that this board trusts signed it');
    }
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

/** The thresholds of a trial: the schema's defaults, then what the release says, then what the desired state says. */
export function trialPolicyOf(
  desired: Partial<TrialPolicy> | undefined,
  release: Partial<TrialPolicy> | undefined,
): TrialPolicy {
  return { ...Value.Create(TrialPolicy), ...release, ...desired };
}

function refused(code: InstallErrorCode, message: string): OpenedDesired {
  return { kind: 'refused', code, message };
}
