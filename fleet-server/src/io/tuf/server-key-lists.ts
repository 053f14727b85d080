import { SERVER_KEYS_TARGET, type ServerKeys } from '@vigie/protocol';
import { serverKeysTarget, sha256 } from './bodies.js';
import type { TargetsBody } from './metadata-schema.js';
import { parsePublicKey } from './signing-key.js';
import type { TrustFiles } from './trust-files.js';

/** Lists of the keys that sign desired states, by the hash under which a `targets` names one. */
export class ServerKeyLists {
  readonly #lists = new Map<string, Buffer>();

  constructor(private readonly files: TrustFiles) {}

  async load(targets: TargetsBody | undefined): Promise<void> {
    if (targets === undefined) return;
    const hash = hashIn(targets);
    this.#lists.set(hash, await this.files.serverKeys(hash));
  }

  async add(pems: readonly string[]): Promise<void> {
    const { bytes } = serverKeysTarget(pems);
    await this.files.writeServerKeys(bytes);
    this.#lists.set(sha256(bytes), bytes);
  }

  bytes(targets: TargetsBody): Buffer {
    return this.#lists.get(hashIn(targets)) as Buffer;
  }

  pems(targets: TargetsBody): string[] {
    return (JSON.parse(this.bytes(targets).toString()) as ServerKeys).keys;
  }

  keyids(targets: TargetsBody): string[] {
    return this.pems(targets).map((pem) => parsePublicKey(pem, SERVER_KEYS_TARGET).keyid);
  }

  /** Hashes that these name. */
  hashes(...targets: (TargetsBody | undefined)[]): Set<string> {
    return new Set(targets.flatMap((one) => (one === undefined ? [] : [hashIn(one)])));
  }
}

function hashIn(targets: TargetsBody): string {
  return targets.targets[SERVER_KEYS_TARGET].hashes.sha256;
}
