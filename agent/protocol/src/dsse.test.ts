import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { openEnvelope, PAYLOAD_TYPE, preAuthenticationEncoding, sealEnvelope } from './dsse.js';

const server = generateKeyPairSync('ed25519');
const stranger = generateKeyPairSync('ed25519');

describe('DSSE envelope', () => {
  it('encodes as the specification shows', () => {
    // Test vector of the DSSE protocol document.
    expect(preAuthenticationEncoding('http://example.com/HelloWorld', Buffer.from('hello world')).toString()).toBe(
      'DSSEv1 29 http://example.com/HelloWorld 11 hello world',
    );
  });

  it('opens what a trusted key sealed', () => {
    const envelope = sealEnvelope(PAYLOAD_TYPE.desired, { generation: 3 }, server.privateKey);
    const opened = openEnvelope(envelope, PAYLOAD_TYPE.desired, [stranger.publicKey, server.publicKey]);
    expect(opened.ok && JSON.parse(opened.payload.toString())).toEqual({ generation: 3 });
  });

  it('refuses a stranger, a changed payload, a borrowed key id and another payload type', () => {
    const envelope = sealEnvelope(PAYLOAD_TYPE.desired, { generation: 3 }, server.privateKey);
    const trusted = [server.publicKey];
    const foreign = sealEnvelope(PAYLOAD_TYPE.desired, { generation: 3 }, stranger.privateKey);
    const borrowed = { ...foreign, signatures: [{ ...foreign.signatures[0], keyid: envelope.signatures[0].keyid }] };
    const changed = { ...envelope, payload: Buffer.from('{"generation":4}').toString('base64') };
    for (const bad of [foreign, borrowed, changed]) {
      expect(openEnvelope(bad, PAYLOAD_TYPE.desired, trusted)).toEqual({
        ok: false,
        code: 'ENVELOPE_SIGNATURE_INVALID',
      });
    }
    expect(openEnvelope(envelope, PAYLOAD_TYPE.command, trusted)).toEqual({
      ok: false,
      code: 'ENVELOPE_TYPE_MISMATCH',
    });
    const relabelled = { ...envelope, payloadType: PAYLOAD_TYPE.command };
    expect(openEnvelope(relabelled, PAYLOAD_TYPE.command, trusted)).toEqual({
      ok: false,
      code: 'ENVELOPE_SIGNATURE_INVALID',
    });
  });
});
