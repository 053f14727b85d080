import { readdirSync, readFileSync } from 'node:fs';
import { Value } from '@sinclair/typebox/value';
import { describe, expect, it } from 'vitest';
import { DeviceCertificate, EnrollRequest, EnrollResponse, RenewRequest } from './enrollment.js';
import { Command, Desired } from './messages.js';
import { ReleaseDescriptor } from './release.js';
import { MAX_MESSAGE_BYTES } from './topics.js';
import { decodeMessage, encodeMessage, MESSAGE_SCHEMAS, type MessageKind } from './wire.js';

const folder = new URL('../golden/', import.meta.url);
const files = readdirSync(folder).filter((name) => name.endsWith('.json'));

/** Signed payloads and documents that travel inside other messages; the file name's first part names them. */
const inner = {
  'desired-payload': Desired,
  'command-payload': Command,
  descriptor: ReleaseDescriptor,
  'enroll-request': EnrollRequest,
  'enroll-response': EnrollResponse,
  'renew-request': RenewRequest,
  'device-certificate': DeviceCertificate,
};

describe('golden messages, frozen: a board in the field sends and expects exactly these', () => {
  it.each(files)('%s', (name) => {
    const bytes = readFileSync(new URL(name, folder));
    const kind = name.split('.')[0];
    const document: unknown = JSON.parse(bytes.toString());
    if (kind in inner) {
      const problem = Value.Errors(inner[kind as keyof typeof inner], document).First();
      expect(problem === undefined ? null : `${problem.path} ${problem.message}`).toBeNull();
      return;
    }
    expect(Object.keys(MESSAGE_SCHEMAS)).toContain(kind);
    const decoded = decodeMessage(kind as MessageKind, bytes);
    expect(decoded).toEqual({ ok: true, message: document });
    if (decoded.ok)
      expect(JSON.parse(encodeMessage(kind as MessageKind, decoded.message).toString())).toEqual(document);
  });

  it('has at least one golden message of every kind', () => {
    const kinds = new Set(files.map((name) => name.split('.')[0]));
    for (const kind of [...Object.keys(MESSAGE_SCHEMAS), ...Object.keys(inner)]) expect([...kinds]).toContain(kind);
  });
});

describe('decodeMessage', () => {
  const ack = { bootId: '0f0f0f0f', sequence: 3 };

  it('ignores unknown fields: an old board must live with a new server', () => {
    expect(decodeMessage('acks', Buffer.from(JSON.stringify({ ...ack, future: true })))).toMatchObject({ ok: true });
  });

  it('names the field that is wrong', () => {
    const decoded = decodeMessage('acks', Buffer.from(JSON.stringify({ ...ack, sequence: -1 })));
    expect(decoded).toMatchObject({ ok: false, code: 'SCHEMA' });
    if (!decoded.ok) expect(decoded.detail).toContain('/sequence');
  });

  it('refuses rubbish and oversize without throwing', () => {
    expect(decodeMessage('acks', Buffer.from('{'))).toMatchObject({ ok: false, code: 'NOT_JSON' });
    expect(decodeMessage('acks', Buffer.from('null'))).toMatchObject({ ok: false, code: 'SCHEMA' });
    expect(decodeMessage('acks', Buffer.alloc(MAX_MESSAGE_BYTES + 1))).toMatchObject({ ok: false, code: 'TOO_LARGE' });
    let seed = 7;
    for (let round = 0; round < 2000; round++) {
      const bytes = Buffer.from(JSON.stringify(ack));
      for (let flips = 0; flips < 3; flips++) {
        seed = (seed * 1103515245 + 12345) % 2147483648;
        bytes[seed % bytes.length] = seed % 256;
      }
      expect(() => decodeMessage('acks', bytes)).not.toThrow();
    }
  });
});

describe('encodeMessage', () => {
  it('refuses to send what breaks the contract', () => {
    expect(() => encodeMessage('acks', { bootId: 'not hex!', sequence: 1 })).toThrow(RangeError);
  });
});
