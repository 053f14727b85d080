import { generateKeyPairSync } from 'node:crypto';
import {
  type Command,
  type Desired,
  encodeMessage,
  PAYLOAD_TYPE,
  type PayloadType,
  sealEnvelope,
} from '@vigie/protocol';
import { describe, expect, test } from 'vitest';
import { CommandGate } from './commands.js';
import { openDesired } from './desired.js';
import { signerUnknown } from './server-keyring.js';

const [trusted, revoked, stranger] = [1, 2, 3].map(() => generateKeyPairSync('ed25519'));
const trustedKeys = { trusted: [trusted.publicKey], revoked: [revoked.publicKey] };

const DESIRED: Desired = {
  deviceId: 'board-1',
  generation: 7,
  issuedAt: '2026-11-21T12:00:00.000Z',
  release: { name: 'person', version: '1.0.0', digest: 'a'.repeat(64) },
};

function sealed(change: Partial<Desired> = {}, key = trusted.privateKey, type: PayloadType = PAYLOAD_TYPE.desired) {
  return encodeMessage('desired', sealEnvelope(type, { ...DESIRED, ...change }, key));
}

function judge(bytes: Uint8Array, lastGeneration = 6): string {
  const opened = openDesired(bytes, { deviceId: 'board-1', trustedKeys, lastGeneration });
  return opened.kind === 'refused' ? opened.code : opened.kind;
}

describe('a desired state', () => {
  test('is accepted once; the same again is nothing, also by another signature of the same generation', () => {
    const bytes = sealed();
    expect(judge(bytes)).toBe('accepted');
    expect(judge(bytes, 7)).toBe('nothing');
    expect(judge(sealed({ retry: true }), 7)).toBe('nothing');
  });

  test('is refused when it is replayed: of an older generation, or of another board', () => {
    const old = sealed();
    for (const last of [8, 9, Number.MAX_SAFE_INTEGER]) expect(judge(old, last)).toBe('DESIRED_STALE_GENERATION');
    expect(judge(sealed({ deviceId: 'board-2' }))).toBe('DESIRED_WRONG_DEVICE');
    expect(judge(sealed({ deviceId: 'board-2', generation: 1 })), 'whose it is comes first').toBe(
      'DESIRED_WRONG_DEVICE',
    );
  });

  test('is refused by a stranger’s key and by a revoked one, each with its code', () => {
    expect(judge(sealed({}, stranger.privateKey))).toBe('DESIRED_SIGNATURE_INVALID');
    expect(judge(sealed({}, revoked.privateKey))).toBe('DESIRED_KEY_REVOKED');
  });

  test('the id of a revoked key under a stranger’s signature is only a wrong signature', () => {
    const envelope = sealEnvelope(PAYLOAD_TYPE.desired, DESIRED, stranger.privateKey);
    envelope.signatures[0].keyid = sealEnvelope(PAYLOAD_TYPE.desired, DESIRED, revoked.privateKey).signatures[0].keyid;
    expect(judge(encodeMessage('desired', envelope))).toBe('DESIRED_SIGNATURE_INVALID');
    expect(signerUnknown(envelope, trustedKeys), 'nothing newer would know more').toBe(false);
  });

  test('one trusted signature beside others is enough', () => {
    const envelope = sealEnvelope(PAYLOAD_TYPE.desired, DESIRED, stranger.privateKey);
    expect(signerUnknown(envelope, trustedKeys)).toBe(true);
    envelope.signatures.push(...sealEnvelope(PAYLOAD_TYPE.desired, DESIRED, trusted.privateKey).signatures);
    expect(signerUnknown(envelope, trustedKeys)).toBe(false);
    expect(judge(encodeMessage('desired', envelope))).toBe('accepted');
  });

  test('a signature over a command never counts for it', () => {
    expect(judge(sealed({}, trusted.privateKey, PAYLOAD_TYPE.command))).toBe('DESIRED_MALFORMED');
  });

  test('one changed byte inside is a wrong signature; no envelope is malformed', () => {
    const envelope = sealEnvelope(PAYLOAD_TYPE.desired, DESIRED, trusted.privateKey);
    const payload = Buffer.from(envelope.payload, 'base64');
    payload[20] ^= 1;
    envelope.payload = payload.toString('base64');
    expect(judge(encodeMessage('desired', envelope))).toBe('DESIRED_SIGNATURE_INVALID');
    for (const bytes of ['', 'null', '{"payload":1}', '{"signed"'])
      expect(judge(Buffer.from(bytes))).toBe('DESIRED_MALFORMED');
    expect(judge(sealed({ generation: 0 }))).toBe('DESIRED_MALFORMED');
  });
});

describe('a command', () => {
  const now = Date.parse('2026-11-21T12:00:00.000Z');
  const command = (change: Partial<Command> = {}, key = trusted.privateKey) =>
    encodeMessage(
      'commands',
      sealEnvelope(
        PAYLOAD_TYPE.command,
        {
          deviceId: 'board-1',
          id: 'c-1',
          issuedAt: '2026-11-21T12:00:00.000Z',
          expiresAt: '2026-11-21T12:01:00.000Z',
          command: { kind: 'identify' },
          ...change,
        },
        key,
      ),
    );
  const gate = () => new CommandGate('board-1', trustedKeys);
  const reason = (bytes: Uint8Array, at = now, by = gate()) => {
    const opened = by.open(bytes, at);
    return opened.ok ? 'ok' : opened.reason;
  };

  test('is done once', () => {
    const by = gate();
    expect(reason(command(), now, by)).toBe('ok');
    expect(reason(command(), now, by)).toBe('SEEN');
  });

  test('is refused after its time, for another board, by other keys', () => {
    expect(reason(command(), now + 60_000)).toBe('EXPIRED');
    expect(reason(command({ deviceId: 'board-2' }))).toBe('WRONG_DEVICE');
    expect(reason(command({}, stranger.privateKey))).toBe('ENVELOPE_SIGNATURE_INVALID');
    expect(reason(command({}, revoked.privateKey))).toBe('ENVELOPE_KEY_REVOKED');
    expect(reason(sealed())).toBe('ENVELOPE_TYPE_MISMATCH');
  });
});
