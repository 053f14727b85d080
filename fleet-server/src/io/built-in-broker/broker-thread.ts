import { Worker } from 'node:worker_threads';
import type { Logger } from 'pino';
import type { Broker, PublishOptions } from '../../ports.js';
import type { ServerCredentials } from '../pki/server-certificate.js';
import type { AedesBrokerOptions } from './aedes-broker.js';
import type { BrokerData, FromBroker, Judgement, PublishHead, TakenHead, ToBroker } from './broker-messages.js';
import { Packing, unpacked } from './packing.js';

export interface BrokerThreadOptions extends Omit<AedesBrokerOptions, 'onConnections'> {
  /** The thread died: the process cannot go on. */
  onLost: (error: Error) => void;
}

/**
 * The built-in broker on a thread of its own. Connections, TLS and chunks of ten thousand boards fill the better part of a core:
 * on the server's own thread every request of a person would wait behind them.
 */
export class BrokerThread implements Broker {
  #connections = 0;
  #closing = false;
  readonly #outgoing = new Packing<PublishHead>();
  #flushing: NodeJS.Immediate | null = null;
  #committed: number[] = [];
  /** How an operator's connection is taken back from those who may end it. */
  readonly #held = new Map<number, () => void>();
  #answered: { resolve: (message: FromBroker) => void; reject: (error: Error) => void } | null = null;

  private constructor(
    private readonly worker: Worker,
    private readonly options: BrokerThreadOptions,
  ) {
    worker.on('message', (message: FromBroker) => this.#hear(message));
    const lost = (error: Error) => {
      if (this.#closing) return;
      this.#closing = true;
      this.#answered?.reject(error);
      options.onLost(error);
    };
    worker.on('error', lost);
    worker.on('exit', (code) => lost(new Error(`the broker's thread ended (exit ${code})`)));
  }

  /** Starts the broker without listening: retained state is published before the first board comes in. */
  static async create(options: BrokerThreadOptions): Promise<BrokerThread> {
    const { plain, secure, log } = options;
    const worker = new Worker(new URL('./broker-worker.js', import.meta.url), {
      workerData: { plain, secure, logLevel: log.level } satisfies BrokerData,
    });
    const thread = new BrokerThread(worker, options);
    await thread.#answer();
    return thread;
  }

  /** Returns the ports that were taken. Rejects as `listen` of node:net does. */
  async listen(): Promise<{ plain: number; secure: number }> {
    const answer = await this.#ask({ kind: 'listen' });
    if (answer.kind === 'listening') return answer.ports;
    const { message, code } = answer as FromBroker & { kind: 'refused' };
    throw Object.assign(new Error(message), { code });
  }

  /** New connections get this certificate from now on. */
  setCredentials(credentials: ServerCredentials): void {
    this.#tell({ kind: 'credentials', credentials });
  }

  publish(topic: string, payload: Buffer, { qos, retain }: PublishOptions): void {
    this.#outgoing.add({ topic, qos, retain }, payload);
    this.#flushing ??= setImmediate(() => this.#flush());
  }

  disconnect(deviceId: string): void {
    this.#tell({ kind: 'disconnect', deviceId });
  }

  /** As the thread told it some milliseconds ago. */
  get connections(): number {
    return this.#connections;
  }

  async close(): Promise<void> {
    if (this.#closing) return;
    await this.#ask({ kind: 'close' });
    this.#closing = true;
    await this.worker.terminate();
  }

  /** In the order of the calls: what waits to be published goes before. */
  #tell(order: ToBroker, transfer: ArrayBuffer[] = []): void {
    if (this.#closing) return;
    if (order.kind !== 'publish') this.#flush();
    this.worker.postMessage(order, transfer);
  }

  #ask(order: ToBroker): Promise<FromBroker> {
    this.#tell(order);
    return this.#answer();
  }

  #answer(): Promise<FromBroker> {
    return new Promise((resolve, reject) => {
      this.#answered = { resolve, reject };
    });
  }

  #flush(): void {
    if (this.#flushing !== null) clearImmediate(this.#flushing);
    this.#flushing = null;
    if (!this.#outgoing.empty) {
      const packed = this.#outgoing.take();
      this.#tell({ kind: 'publish', packed }, [packed.bytes]);
    }
    if (this.#committed.length > 0) {
      const ids = this.#committed;
      this.#committed = [];
      this.worker.postMessage({ kind: 'committed', ids } satisfies ToBroker);
    }
  }

  #hear(message: FromBroker): void {
    switch (message.kind) {
      case 'taken':
        this.#connections = message.connections;
        for (const [head, payload] of unpacked(message.packed)) this.#take(head, payload);
        return;
      case 'connections':
        this.#connections = message.connections;
        return;
      case 'login':
        void this.#judge(message);
        return;
      case 'gone':
        this.#held.get(message.login)?.();
        this.#held.delete(message.login);
        return;
      case 'log':
        relay(this.options.log, message.line);
        return;
      default:
        this.#answered?.resolve(message);
        this.#answered = null;
    }
  }

  #take({ id, deviceId, topic }: TakenHead, payload: Buffer): void {
    const settled = () => {
      this.#committed.push(id);
      this.#flushing ??= setImmediate(() => this.#flush());
    };
    this.options.onMessage(deviceId, topic, payload).then(settled, (error: Error) => {
      this.options.log.error({ deviceId, topic, err: error }, 'a message could not be stored');
      settled();
    });
  }

  async #judge({ login, clientId, username, password, certificate }: FromBroker & { kind: 'login' }): Promise<void> {
    const tell = (judgement: Judgement) => this.#tell({ kind: 'judged', login, judgement });
    try {
      const principal = await this.options.authenticate({
        ...{ clientId, username, password: Buffer.from(password), certificate },
      });
      if (principal === null) tell({ verdict: 'refused' });
      else if (principal.kind === 'device') tell({ verdict: 'device', deviceId: principal.deviceId });
      else {
        tell({ verdict: 'operator' });
        // From now on, not from when it is in: its token may end in between.
        const release = principal.hold(() => this.#tell({ kind: 'end', login }));
        this.#held.set(login, release);
      }
    } catch (error) {
      tell({ verdict: 'error', message: (error as Error).message });
    }
  }
}

/** A line that the thread's pino wrote. */
function relay(log: Logger, line: string): void {
  const { level, time: _time, msg, ...fields } = JSON.parse(line) as { level: number; time: number; msg: string };
  const name = log.levels.labels[level] as 'error';
  log[name](fields, msg);
}
