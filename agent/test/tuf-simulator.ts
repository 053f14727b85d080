import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { canonicalize } from '@tufjs/canonical-json';

/** A TUF repository in a test's hands, written without the libraries under test, so that it can lie in every way. */

export type KeyKind = 'ed25519' | 'ecdsa' | 'rsa';

export interface SimulatorKey {
  id: string;
  entry: Record<string, unknown>;
  sign(bytes: Buffer): string;
}

/** A fresh key; its id is the SHA-256 of its canonical JSON (TUF specification 1.0.31, 4.2). */
export function newKey(kind: KeyKind = 'ed25519', more: Record<string, unknown> = {}): SimulatorKey {
  const { publicKey, privateKey } = pairOf(kind);
  const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString();
  const raw = publicKey.export({ type: 'spki', format: 'der' }).subarray(-32).toString('hex');
  const scheme = { ed25519: 'ed25519', ecdsa: 'ecdsa-sha2-nistp256', rsa: 'rsassa-pss-sha256' }[kind];
  const entry = { keytype: kind, scheme, keyval: { public: kind === 'ed25519' ? raw : pem }, ...more };
  return {
    id: createHash('sha256').update(canonicalize(entry)).digest('hex'),
    entry,
    sign: (bytes) => {
      if (kind === 'ed25519') return sign(null, bytes, privateKey).toString('hex');
      // RSASSA-PSS with a salt as long as the digest.
      const key = kind === 'rsa' ? { key: privateKey, padding: 6, saltLength: 32 } : privateKey;
      return sign('sha256', bytes, key).toString('hex');
    },
  };
}

function pairOf(kind: KeyKind): { publicKey: KeyObject; privateKey: KeyObject } {
  if (kind === 'ecdsa') return generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return kind === 'rsa' ? generateKeyPairSync('rsa', { modulusLength: 2048 }) : generateKeyPairSync('ed25519');
}

interface Meta {
  version: number;
  length?: number;
  hashes?: Record<string, string>;
}

interface Head {
  _type: string;
  spec_version: string;
  version: number;
  expires: string;
  [more: string]: unknown;
}

export interface SimulatorRole {
  keyids: string[];
  threshold: number;
  [more: string]: unknown;
}

export interface RootSigned extends Head {
  consistent_snapshot: boolean;
  keys: Record<string, Record<string, unknown>>;
  roles: Record<string, SimulatorRole>;
}

interface Delegation extends SimulatorRole {
  name: string;
  terminating: boolean;
  paths?: string[];
}

export interface TargetsSigned extends Head {
  targets: Record<string, { length: number; hashes: Record<string, string>; custom?: unknown }>;
  delegations?: { keys: Record<string, Record<string, unknown>>; roles: Delegation[] };
}

const TOP = ['root', 'timestamp', 'snapshot', 'targets'] as const;
const DAY = 86_400_000;

/** An instant without a fraction, as TUF writes it (4.1). */
export function inDays(days: number, from = Date.now()): string {
  return `${new Date(from + days * DAY).toISOString().slice(0, 19)}Z`;
}

export class TufSimulator {
  /** Who signs a role at its next publication. */
  readonly signers = new Map<string, SimulatorKey[]>();
  /** File name (`1.root.json`, `timestamp.json`) → bytes as served. */
  readonly files = new Map<string, Buffer>();
  /** Targets' bytes by the SHA-256 they are listed under. */
  readonly objects = new Map<string, Buffer>();
  /** Do timestamp and snapshot name length and hash of what they list? */
  hashes = false;
  readonly root: RootSigned;
  readonly timestamp: Head & { meta: Record<string, Meta> };
  readonly snapshot: Head & { meta: Record<string, Meta> };
  readonly roles = new Map<string, TargetsSigned>();

  /** Version 1 of the four top roles, with one key each. `days`: how long all of it counts. */
  constructor(days = 30) {
    const head = (_type: string): Head => ({ _type, spec_version: '1.0.31', version: 0, expires: inDays(days) });
    this.root = { ...head('root'), consistent_snapshot: true, keys: {}, roles: {} };
    this.timestamp = { ...head('timestamp'), meta: { 'snapshot.json': { version: 1 } } };
    this.snapshot = { ...head('snapshot'), meta: { 'targets.json': { version: 1 } } };
    this.roles.set('targets', { ...head('targets'), targets: {} });
    for (const role of TOP) {
      this.root.roles[role] = { keyids: [], threshold: 1 };
      this.addKey(role);
    }
    this.bump('root', 'targets', 'snapshot', 'timestamp');
  }

  get targets(): TargetsSigned {
    return this.roles.get('targets') as TargetsSigned;
  }

  /** Gives a role (of root, or of `delegator`) another key, which signs from now on. */
  addKey(role: string, key = newKey(), delegator = 'targets'): SimulatorKey {
    this.listKey(role, key, delegator);
    this.signers.set(role, [...(this.signers.get(role) ?? []), key]);
    return key;
  }

  /** Lists a key for a role; it does not sign. */
  listKey(role: string, key: SimulatorKey, delegator = 'targets'): void {
    const delegations = this.roles.get(delegator)?.delegations;
    const list = this.root.roles[role] ?? delegations?.roles.find(({ name }) => name === role);
    const keys = this.root.roles[role] === undefined ? delegations?.keys : this.root.keys;
    if (list === undefined || keys === undefined) throw new Error(`nobody delegates to ${role}`);
    keys[key.id] = key.entry;
    if (!list.keyids.includes(key.id)) list.keyids.push(key.id);
  }

  /** New keys in place of all that a top role had. */
  rotate(role: string): void {
    const count = this.root.roles[role].keyids.length;
    this.root.roles[role].keyids = [];
    this.signers.set(role, []);
    for (let i = 0; i < count; i += 1) this.addKey(role);
  }

  /** Delegates to a role with one key of its own; it is published with version 1 at its first `bump`. */
  delegate(delegator: string, name: string, options: Partial<Delegation> & { expires?: string } = {}): void {
    const { expires, ...role } = options;
    const signed = this.roles.get(delegator) as TargetsSigned;
    signed.delegations ??= { keys: {}, roles: [] };
    signed.delegations.roles.push({ name, keyids: [], threshold: 1, terminating: false, paths: ['*'], ...role });
    const present = this.signers.get(name);
    if (present === undefined) this.addKey(name, newKey(), delegator);
    else for (const key of present) this.listKey(name, key, delegator);
    if (!this.roles.has(name)) {
      const head = { _type: 'targets', spec_version: '1.0.31', version: 0, expires: expires ?? this.root.expires };
      this.roles.set(name, { ...head, targets: {} });
    }
  }

  /** Lists a target with the hash and length of its bytes. */
  add(path: string, bytes: Buffer | string, role = 'targets', custom?: unknown): void {
    const content = Buffer.from(bytes);
    const sha256 = sha256Of(content);
    this.objects.set(sha256, content);
    const target = { length: content.length, hashes: { sha256 }, ...(custom === undefined ? {} : { custom }) };
    (this.roles.get(role) as TargetsSigned).targets[path] = target;
  }

  /** One version up for each role, signed and served; timestamp and snapshot name what is there by then. */
  bump(...roles: string[]): void {
    for (const role of roles) {
      this.signedOf(role).version += 1;
      this.publish(role);
    }
  }

  /** Targets, snapshot and timestamp, each one up. */
  update(): void {
    this.bump('targets', 'snapshot', 'timestamp');
  }

  /** Signs a role as it stands and serves it. */
  publish(role: string): void {
    const signed = this.signedOf(role);
    const bytes = this.seal(role, signed);
    this.files.set(this.nameOf(role, signed.version), bytes);
    const meta: Meta = { version: signed.version };
    if (this.hashes) Object.assign(meta, { length: bytes.length, hashes: { sha256: sha256Of(bytes) } });
    if (role === 'snapshot') this.timestamp.meta['snapshot.json'] = meta;
    else if (this.roles.has(role)) this.snapshot.meta[`${role}.json`] = meta;
  }

  /** Signed bytes of anything, by the signers of a role. */
  seal(role: string, signed: object): Buffer {
    const bytes = Buffer.from(canonicalize(signed));
    const signatures = (this.signers.get(role) ?? []).map((key) => ({ keyid: key.id, sig: key.sign(bytes) }));
    return Buffer.from(JSON.stringify({ signatures, signed }));
  }

  /** Changes a served file behind the signers' back. */
  tamper(name: string, change: (json: { signatures: { keyid: string; sig: string }[]; signed: Head }) => void): void {
    const json = JSON.parse((this.files.get(name) as Buffer).toString());
    change(json);
    this.files.set(name, Buffer.from(JSON.stringify(json)));
  }

  signedOf(role: string): Head {
    if (role === 'root') return this.root;
    if (role === 'timestamp') return this.timestamp;
    if (role === 'snapshot') return this.snapshot;
    const signed = this.roles.get(role);
    if (signed === undefined) throw new Error(`no role ${role}`);
    return signed;
  }

  private nameOf(role: string, version: number): string {
    const plain = role === 'timestamp' || (role !== 'root' && !this.root.consistent_snapshot);
    return `${plain ? '' : `${version}.`}${encodeURIComponent(role)}.json`;
  }
}

export function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
