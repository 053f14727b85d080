import type { PeerCertificate } from '../../ports.js';
import type { ServerCredentials } from '../pki/server-certificate.js';
import type { ListenAddress } from './aedes-broker.js';

/** What the server's thread and the broker's say to each other. */

export interface BrokerData {
  plain: ListenAddress;
  secure: ListenAddress & { credentials: ServerCredentials; authority: string };
  logLevel: string;
}

/** Messages of one turn: payloads lie one after the other in `bytes`, which changes hands without being copied. */
export interface Packed<Head> {
  heads: (Head & { length: number })[];
  bytes: ArrayBuffer;
}

/** A message of a board. `id`: under which it is answered once it is committed or refused. */
export interface TakenHead {
  id: number;
  deviceId: string;
  topic: string;
}

export interface PublishHead {
  topic: string;
  qos: 0 | 1;
  retain: boolean;
}

/** How a login was judged; `error`: it could not be. */
export type Judgement =
  | { verdict: 'refused' }
  | { verdict: 'device'; deviceId: string }
  | { verdict: 'operator' }
  | { verdict: 'error'; message: string };

export type ToBroker =
  | { kind: 'listen' }
  | { kind: 'credentials'; credentials: ServerCredentials }
  | { kind: 'publish'; packed: Packed<PublishHead> }
  | { kind: 'disconnect'; deviceId: string }
  | { kind: 'judged'; login: number; judgement: Judgement }
  /** The token of an operator's connection has ended. */
  | { kind: 'end'; login: number }
  | { kind: 'committed'; ids: number[] }
  | { kind: 'close' };

export type FromBroker =
  | { kind: 'ready' }
  | { kind: 'listening'; ports: { plain: number; secure: number } }
  | { kind: 'refused'; message: string; code: string | null }
  | {
      kind: 'login';
      login: number;
      clientId: string;
      username: string;
      password: Uint8Array;
      certificate: PeerCertificate | null;
    }
  /** An operator's connection is gone. */
  | { kind: 'gone'; login: number }
  | { kind: 'taken'; packed: Packed<TakenHead>; connections: number }
  | { kind: 'connections'; connections: number }
  | { kind: 'log'; line: string }
  | { kind: 'closed' };
