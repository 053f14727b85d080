import { createCipheriv, createDecipheriv, randomBytes, scrypt } from 'node:crypto';
import { Transform, type TransformCallback } from 'node:stream';
import { promisify } from 'node:util';

/** First bytes of an encrypted backup. */
export const CIPHER_MAGIC = Buffer.from('VIGIEBK1');
const SALT_BYTES = 16;
const FRAME_BYTES = 64 * 1024;
const TAG_BYTES = 16;
/** scrypt (RFC 7914): 128 MiB, about a third of a second. */
const COST = { N: 2 ** 17, r: 8, p: 1, maxmem: 256 * 1024 * 1024 };
const deriveKey = promisify(scrypt) as (
  secret: string,
  salt: Buffer,
  bytes: number,
  options: object,
) => Promise<Buffer>;

export class CipherError extends Error {
  constructor(
    readonly code: 'PASSPHRASE_WRONG' | 'BACKUP_DAMAGED',
    message: string,
  ) {
    super(message);
  }
}

/** Number of the frame, and whether it is the last: so frames cannot be moved, repeated, or cut off at the end (STREAM, Hoang et al. 2015). */
function nonce(index: number, last: boolean): Buffer {
  const bytes = Buffer.alloc(12);
  bytes.writeUIntBE(index, 5, 6);
  bytes[11] = last ? 1 : 0;
  return bytes;
}

/** AES-256-GCM in frames of 64 KiB under a key from the passphrase. */
export async function encrypting(passphrase: string): Promise<Transform> {
  const salt = randomBytes(SALT_BYTES);
  const key = await deriveKey(passphrase, salt, 32, COST);
  let held: Buffer[] = [];
  let size = 0;
  let index = 0;
  const seal = (frame: Buffer, last: boolean) => {
    const cipher = createCipheriv('aes-256-gcm', key, nonce(index, last)).setAAD(salt);
    index += 1;
    return Buffer.concat([cipher.update(frame), cipher.final(), cipher.getAuthTag()]);
  };
  const transform = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      held.push(chunk);
      size += chunk.length;
      if (size > FRAME_BYTES) {
        let all = Buffer.concat(held);
        // The last frame is sealed as such, so one always stays behind.
        for (; all.length > FRAME_BYTES; all = all.subarray(FRAME_BYTES))
          this.push(seal(all.subarray(0, FRAME_BYTES), false));
        held = [all];
        size = all.length;
      }
      done();
    },
    flush(done) {
      this.push(seal(Buffer.concat(held), true));
      done();
    },
  });
  transform.push(Buffer.concat([CIPHER_MAGIC, salt]));
  return transform;
}

/** The inverse; fails with CipherError. `begin`: the first bytes were looked at already. */
export function decrypting(passphrase: string): Transform {
  let held: Buffer = Buffer.alloc(0);
  let salt: Buffer | null = null;
  let key: Buffer | null = null;
  let index = 0;
  const unseal = (frame: Buffer, last: boolean): Buffer => {
    try {
      const at = frame.length - TAG_BYTES;
      const decipher = createDecipheriv('aes-256-gcm', key as Buffer, nonce(index, last), { authTagLength: TAG_BYTES });
      decipher.setAAD(salt as Buffer).setAuthTag(frame.subarray(at));
      const clear = Buffer.concat([decipher.update(frame.subarray(0, at)), decipher.final()]);
      index += 1;
      return clear;
    } catch {
      if (index === 0)
        throw new CipherError(
          'PASSPHRASE_WRONG',
          'the passphrase does not open this backup, or its beginning is damaged',
        );
      throw new CipherError('BACKUP_DAMAGED', `the backup is damaged or cut off at frame ${index}`);
    }
  };
  const whole = FRAME_BYTES + TAG_BYTES;
  const take = async (stream: Transform) => {
    if (salt === null) {
      const head = CIPHER_MAGIC.length + SALT_BYTES;
      if (held.length < head) return;
      salt = Buffer.from(held.subarray(CIPHER_MAGIC.length, head));
      key = await deriveKey(passphrase, salt, 32, COST);
      held = held.subarray(head);
    }
    for (; held.length > whole; held = held.subarray(whole)) stream.push(unseal(held.subarray(0, whole), false));
  };
  const settle = (work: Promise<void>, done: TransformCallback) => work.then(() => done(), done);
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      held = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
      settle(take(this), done);
    },
    flush(done) {
      try {
        if (salt === null || held.length < TAG_BYTES)
          throw new CipherError('BACKUP_DAMAGED', 'the backup is cut off at its beginning');
        this.push(unseal(held, true));
        done();
      } catch (error) {
        done(error as Error);
      }
    },
  });
}
