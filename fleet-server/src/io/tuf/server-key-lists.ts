import { SERVER_KEYS_TARGET, type ServerKeys } from '@vigie/protocol';
import { serverKeysTarget, sha256 } from './bodies.js';
import type { TargetsBody } from './metadata-schema.js';
import { parsePublicKey } from './signing-key.js';
import { serverKeysName, type TrustFiles } from './trust-files.js';
import type { TrustWrite } from './trust-storage.js';

/** Lists of the keys that sign desired states, by the hash under which a `targets` names one. */
export class ServerKeyLists {
  readonly #lists = new Map<string, Buffer>();
  /** Of the same lists: asked for with every desired state, and reading a key costs more than signing with it. */
  readonly #keyids = new Map<string, readonly string[]>();

  /** Throws TufError. */
  load(files: TrustFiles, targets: TargetsBody | undefined): void {
    if (targets === undefined) return;
    const hash = hashIn(targets);
    this.#lists.set(hash, files.serverKeys(hash));
  }

  /** Knows a list from now on; it has to be written, too. */
  add(pems: readonly string[]): TrustWrite {
    const { bytes } = serverKeysTarget(pems);
    const hash = sha256(bytes);
    this.#lists.set(hash, bytes);
    return { name: serverKeysName(hash), bytes };
  }

  bytes(targets: TargetsBody): Buffer {
    return this.#lists.get(hashIn(targets)) as Buffer;
  }

  pems(targets: TargetsBody): string[] {
    return (JSON.parse(this.bytes(targets).toString()) as ServerKeys).keys;
  }

  keyids(targets: TargetsBody): string[] {
    const hash = hashIn(targets);
    let keyids = this.#keyids.get(hash);
    if (keyids === undefined) {
      keyids = this.pems(targets).map((pem) => parsePublicKey(pem, SERVER_KEYS_TARGET).keyid);
      this.#keyids.set(hash, keyids);
    }
    return [...keyids];
  }

  /** Hashes that these name. */
  hashes(...targets: (TargetsBody | undefined)[]): Set<string> {
    return new Set(targets.flatMap((one) => (one === undefined ? [] : [hashIn(one)])));
  }
}

function hashIn(targets: TargetsBody): string {
  return targets.targets[SERVER_KEYS_TARGET].hashes.sha256;
}
