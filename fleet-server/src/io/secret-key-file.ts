import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { writeAtomic } from './atomic-file.js';

const KEY_BYTES = 32;
const IV_BYTES = 12;
const TAG_BYTES = 16;
const VERSION = 1;

export type SecretKeyErrorCode = 'KEY_FILE_INVALID' | 'SECRET_UNREADABLE';

export class SecretKeyError extends Error {
  constructor(
    readonly code: SecretKeyErrorCode,
    message: string,
  ) {
    super(message);
  }
}

/**
 * Encrypts what must be known again in clear (AES-256-GCM, NIST SP 800-38D) under a key that stands beside the database and
 * not in it: a stolen dump gives nothing away. Replicas of one database need the same file.
 */
export class SecretKeyFile {
  private constructor(private readonly key: Buffer) {}

  /** Opens the key, or makes one (mode 0600). Throws SecretKeyError. */
  static async open(path: string): Promise<SecretKeyFile> {
    let text: string;
    try {
      text = await readFile(path, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      const key = randomBytes(KEY_BYTES);
      await writeAtomic(path, `${key.toString('base64')}\n`);
      return new SecretKeyFile(key);
    }
    const key = Buffer.from(text.trim(), 'base64');
    if (key.length !== KEY_BYTES)
      throw new SecretKeyError(
        'KEY_FILE_INVALID',
        `${path}: holds no key of ${KEY_BYTES} bytes; restore it from a backup`,
      );
    return new SecretKeyFile(key);
  }

  /** Base64. `purpose` is bound to it: a secret moved to another row cannot be read there. */
  seal(text: string, purpose: string): string {
    const iv = randomBytes(IV_BYTES);
    const cipher = createCipheriv('aes-256-gcm', this.key, iv).setAAD(Buffer.from(purpose));
    const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
    return Buffer.concat([Buffer.from([VERSION]), iv, cipher.getAuthTag(), sealed]).toString('base64');
  }

  /** Throws SecretKeyError. */
  unseal(sealed: string, purpose: string): string {
    const bytes = Buffer.from(sealed, 'base64');
    try {
      if (bytes[0] !== VERSION) throw new Error('unknown version');
      const iv = bytes.subarray(1, 1 + IV_BYTES);
      const tag = bytes.subarray(1 + IV_BYTES, 1 + IV_BYTES + TAG_BYTES);
      const decipher = createDecipheriv('aes-256-gcm', this.key, iv, { authTagLength: TAG_BYTES });
      decipher.setAAD(Buffer.from(purpose)).setAuthTag(tag);
      return Buffer.concat([decipher.update(bytes.subarray(1 + IV_BYTES + TAG_BYTES)), decipher.final()]).toString(
        'utf8',
      );
    } catch {
      throw new SecretKeyError(
        'SECRET_UNREADABLE',
        `the secret of ${purpose} does not open with this server's key file; give the channel its secret again`,
      );
    }
  }
}
