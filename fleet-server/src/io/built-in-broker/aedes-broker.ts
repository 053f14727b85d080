import { X509Certificate } from 'node:crypto';
import { createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type TLSSocket, type TlsOptions, type Server as TlsServer } from 'node:tls';
import {
  DELIVERY,
  devicePublishAllowed,
  deviceSubscribeAllowed,
  MAX_MESSAGE_BYTES,
  parseTopic,
  ROOT,
} from '@vigie/protocol';
import {
  Aedes,
  type AedesPublishPacket,
  type AuthErrorCode,
  type AuthenticateError,
  type Client,
  type ConnectPacket,
} from 'aedes';
import type { Logger } from 'pino';
import type { Authenticate, Broker, MessageHandler, PeerCertificate, Principal, PublishOptions } from '../../ports.js';
import { readPeer } from '../pki/peer-certificate.js';
import type { ServerCredentials } from '../pki/server-certificate.js';
import { RetainedMessages } from './aedes-retained.js';
import { FairTurns } from './fair-turns.js';
import { PacketLimit } from './packet-limit.js';
import { TopicEmitter } from './topic-emitter.js';

/** Largest packet: a full message, its topic (at most 300 bytes by the contract) and the header. */
const MAX_PACKET_BYTES = MAX_MESSAGE_BYTES + 1024;
/** TLS handshakes that one turn of the event loop begins: each costs about a millisecond. */
const HANDSHAKES_PER_TURN = 4;
/** Return codes of MQTT 3.1.1, 3.2.2.3. */
const BAD_CREDENTIALS = 4 as AuthErrorCode;
const UNAVAILABLE = 3 as AuthErrorCode;

export interface ListenAddress {
  host: string;
  /** 0 takes a free one. */
  port: number;
  maxConnections: number;
}

export interface AedesBrokerOptions {
  /** For operators, on loopback. */
  plain: ListenAddress;
  /** For boards: mutual TLS. `authority` is the PEM of the one whose certificates count. */
  secure: ListenAddress & { credentials: ServerCredentials; authority: string };
  authenticate: Authenticate;
  onMessage: MessageHandler;
  /** Calls back when `connections` has changed. */
  onConnections?: () => void;
  log: Logger;
}

/** MQTT 3.1.1 broker inside the server. It keeps nothing over a restart: retained state comes from the database. */
export class AedesBroker implements Broker {
  readonly #aedes: Aedes;
  readonly #plain: Server;
  readonly #secure: TlsServer;
  /** Takes the connections of boards for `#secure`. */
  readonly #door: Server;
  readonly #handshakes = new FairTurns(HANDSHAKES_PER_TURN);
  readonly #options: AedesBrokerOptions;
  readonly #principals = new WeakMap<Client, Principal>();
  readonly #clients = new Map<string, Client>();
  readonly #certificates = new WeakMap<object, PeerCertificate>();
  /** Clients between the check of their login and their place among the others; `kicked` ones are cut once they have it. */
  readonly #entering = new Set<Client>();
  readonly #kicked = new WeakSet<Client>();

  private constructor(aedes: Aedes, options: AedesBrokerOptions) {
    this.#aedes = aedes;
    this.#options = options;
    this.#plain = createServer((socket) => this.#accept(socket));
    this.#plain.maxConnections = options.plain.maxConnections;
    const authority = new X509Certificate(options.secure.authority);
    this.#secure = createTlsServer(
      { ...this.#context(options.secure.credentials), handshakeTimeout: 30_000 },
      (socket) => this.#acceptBoard(socket, authority),
    );
    // A fleet that comes back all at once would begin all its handshakes together, finish them late, give up and begin anew.
    this.#door = createServer({ pauseOnConnect: true }, (socket) => {
      socket.on('error', (error) => options.log.debug({ err: error }, 'mqtt connection over TLS'));
      void this.#handshakes.take(1).then(() => {
        if (!socket.destroyed) this.#secure.emit('connection', socket);
      });
    });
    this.#door.maxConnections = options.secure.maxConnections;
    this.#secure.on('tlsClientError', (error) => options.log.debug({ err: error }, 'mqtt connection over TLS'));
  }

  /** Starts the broker without listening: retained state is published before the first board comes in. */
  static async create(options: AedesBrokerOptions): Promise<AedesBroker> {
    // No limit of messages in delivery: with one, a single board that stopped reading would hold all others. It is cut
    // after drainTimeout instead.
    const aedes = new Aedes({
      concurrency: 0,
      mq: new TopicEmitter(),
      connectTimeout: 10_000,
      drainTimeout: 15_000,
      maxClientsIdLength: 64,
      maxTopicLevels: 16,
    });
    const broker = new AedesBroker(aedes, options);
    broker.#configure();
    await aedes.listen();
    RetainedMessages.install(aedes);
    return broker;
  }

  /** Returns the ports that were taken. */
  async listen(): Promise<{ plain: number; secure: number }> {
    const { plain, secure } = this.#options;
    return { plain: await listenOn(this.#plain, plain), secure: await listenOn(this.#door, secure) };
  }

  /** New connections get this certificate from now on. */
  setCredentials(credentials: ServerCredentials): void {
    this.#secure.setSecureContext(this.#context(credentials));
  }

  publish(topic: string, payload: Buffer, { qos, retain }: PublishOptions): void {
    // The callback comes when every subscriber's socket took the message, which a slow board may delay: nobody waits for it.
    this.#aedes.publish({ cmd: 'publish', topic, payload, qos, retain, dup: false }, (error) => {
      if (error && !this.#aedes.closed) this.#options.log.error({ topic, err: error }, 'publish failed');
    });
  }

  disconnect(deviceId: string): void {
    const client = this.#clients.get(deviceId);
    if (client !== undefined && this.#principals.get(client)?.kind === 'device') client.close();
    for (const entering of this.#entering) if (entering.id === deviceId) this.#kicked.add(entering);
  }

  get connections(): number {
    return this.#clients.size;
  }

  async close(): Promise<void> {
    const closed = [this.#plain, this.#door].map((server) => new Promise((resolve) => server.close(resolve)));
    await new Promise<void>((resolve) => this.#aedes.close(() => resolve()));
    await Promise.all(closed);
  }

  #context(credentials: ServerCredentials): TlsOptions {
    const { authority } = this.#options.secure;
    return { ...credentials, ca: authority, requestCert: true, rejectUnauthorized: true, minVersion: 'TLSv1.2' };
  }

  #acceptBoard(socket: TLSSocket, authority: X509Certificate): void {
    const peer = readPeer(socket, authority);
    if (typeof peer === 'string') {
      socket.destroy();
      return;
    }
    this.#certificates.set(socket, peer);
    this.#accept(socket);
  }

  #accept(socket: Socket): void {
    socket.setNoDelay(true);
    const limit = new PacketLimit(MAX_PACKET_BYTES);
    const read = socket.read.bind(socket);
    // aedes pulls with read(): the one place where every byte passes before the parser collects it.
    socket.read = (size?: number) => {
      const bytes: Buffer | null = read(size);
      if (bytes === null || limit.accept(bytes)) return bytes;
      socket.destroy(new Error(`a packet exceeds ${MAX_PACKET_BYTES} bytes`));
      return null;
    };
    this.#aedes.handle(socket);
  }

  #configure(): void {
    const { log, authenticate, onMessage, onConnections } = this.#options;
    const aedes = this.#aedes;
    aedes.preConnect = (_client, packet, done) => {
      const allowed = this.#preConnect(packet);
      done(allowed ? null : new Error('a last will belongs on a presence topic'), allowed);
    };
    aedes.authenticate = (client, username, password, done) => {
      const certificate = this.#certificates.get(client.conn) ?? null;
      const credentials = { clientId: client.id, username: username ?? '', password: password ?? Buffer.alloc(0) };
      this.#entering.add(client);
      client.conn.once('close', () => this.#entering.delete(client));
      authenticate({ ...credentials, certificate }).then(
        (principal) => {
          if (principal?.kind === 'operator') this.#hold(client, principal);
          if (principal === null || this.#kicked.has(client)) {
            return done(refusal('bad user name or password', BAD_CREDENTIALS), null);
          }
          this.#principals.set(client, principal);
          done(null, true);
        },
        (error: Error) => {
          log.error({ err: error }, 'a login could not be checked');
          done(refusal('try again later', UNAVAILABLE), null);
        },
      );
    };
    aedes.authorizePublish = (client, packet, done) => {
      const principal = client === null ? undefined : this.#principals.get(client);
      if (principal?.kind !== 'device' || packet.qos === 2 || !devicePublishAllowed(principal.deviceId, packet.topic)) {
        // MQTT 3.1.1 has no way to refuse one message: the connection ends.
        return done(new Error(`publish on ${packet.topic.slice(0, 200)} is not allowed`));
      }
      // Only reported and presence are kept by the broker, whatever a board says: its memory is bounded by the fleet's size.
      const kind = parseTopic(packet.topic)?.kind;
      if (kind === undefined || !DELIVERY[kind].retain) packet.retain = false;
      done(null);
    };
    aedes.authorizeSubscribe = (client, subscription, done) => {
      const principal = this.#principals.get(client);
      const allowed =
        principal?.kind === 'operator'
          ? subscription.topic.startsWith(`${ROOT}/`)
          : principal !== undefined && deviceSubscribeAllowed(principal.deviceId, subscription.topic);
      done(null, allowed ? subscription : null);
    };
    aedes.published = (packet: AedesPublishPacket, client, done) => {
      const principal = client ? this.#principals.get(client) : undefined;
      if (principal?.kind !== 'device') return done(null);
      const payload = typeof packet.payload === 'string' ? Buffer.from(packet.payload) : packet.payload;
      onMessage(principal.deviceId, packet.topic, payload).then(
        () => done(null),
        (error: Error) => {
          log.error({ deviceId: principal.deviceId, topic: packet.topic, err: error }, 'a message could not be stored');
          done(null);
        },
      );
    };
    aedes.on('client', (client) => {
      this.#entering.delete(client);
      this.#clients.set(client.id, client);
      onConnections?.();
      if (this.#kicked.has(client)) client.close();
    });
    aedes.on('clientDisconnect', (client) => {
      if (this.#clients.get(client.id) === client) this.#clients.delete(client.id);
      onConnections?.();
    });
    aedes.on('clientError', (client, error) => log.debug({ clientId: client.id, err: error }, 'mqtt client'));
    aedes.on('connectionError', (_client, error) => log.debug({ err: error }, 'mqtt connection'));
    aedes.on('error' as 'closed', ((error: Error) => log.error({ err: error }, 'broker')) as () => void);
  }

  /** Its connection ends with its token, even one that ends before the client has its place. */
  #hold(client: Client, operator: Principal & { kind: 'operator' }): void {
    const release = operator.hold(() => {
      if (this.#entering.has(client)) this.#kicked.add(client);
      else client.close();
    });
    if (client.conn.destroyed) release();
    else client.conn.once('close', release);
  }

  #preConnect(packet: ConnectPacket): boolean {
    // No sessions outlive a connection: whatever matters is retained or in the database, and an absent board costs no memory.
    packet.clean = true;
    // A will is a message like any other: only the board's own presence.
    return packet.will === undefined || parseTopic(packet.will.topic)?.kind === 'presence';
  }
}

function refusal(message: string, returnCode: AuthErrorCode): AuthenticateError {
  return Object.assign(new Error(message), { returnCode });
}

async function listenOn(server: Server, { host, port }: ListenAddress): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.removeListener('error', reject);
      resolve();
    });
  });
  return (server.address() as { port: number }).port;
}
