import { parentPort, workerData } from 'node:worker_threads';
import { pino } from 'pino';
import type { Principal } from '../../ports.js';
import { AedesBroker } from './aedes-broker.js';
import type { BrokerData, FromBroker, Judgement, TakenHead, ToBroker } from './broker-messages.js';
import { Packing, unpacked } from './packing.js';

/** The built-in broker on a thread of its own; broker-thread.ts is its other end. */
if (parentPort === null) throw new Error('broker-worker runs as a worker thread');
const port = parentPort;

/** Messages of boards travel together when they come within this time, ms. */
const GATHER_MS = 4;

const tell = (message: FromBroker, transfer: ArrayBuffer[] = []) => port.postMessage(message, transfer);
const { plain, secure, logLevel } = workerData as BrokerData;
const log = pino({ level: logLevel, base: null }, { write: (line: string) => tell({ kind: 'log', line }) });

let lastId = 0;
const judging = new Map<number, (judgement: Judgement) => void>();
const committing = new Map<number, () => void>();
/** Operators' connections, and how they are ended. */
const operators = new Map<number, () => void>();

const arrived = new Packing<TakenHead>();
let toldConnections = 0;
let flushing: NodeJS.Timeout | null = null;

function flush(): void {
  if (flushing !== null) clearTimeout(flushing);
  flushing = null;
  const { connections } = broker;
  if (!arrived.empty) {
    const packed = arrived.take();
    tell({ kind: 'taken', packed, connections }, [packed.bytes]);
  } else if (connections !== toldConnections) tell({ kind: 'connections', connections });
  toldConnections = connections;
}

function flushSoon(): void {
  flushing ??= setTimeout(flush, GATHER_MS);
}

/** A principal as the broker wants it. The other end holds an operator's connection from its verdict on. */
function principalOf(login: number, judgement: Judgement): Principal | null {
  switch (judgement.verdict) {
    case 'refused':
      return null;
    case 'error':
      throw new Error(judgement.message);
    case 'device':
      return { kind: 'device', deviceId: judgement.deviceId };
    case 'operator':
      return {
        kind: 'operator',
        hold: (end) => {
          operators.set(login, end);
          return () => {
            operators.delete(login);
            tell({ kind: 'gone', login });
          };
        },
      };
  }
}

const broker = await AedesBroker.create({
  ...{ plain, secure, log },
  authenticate: async ({ clientId, username, password, certificate }) => {
    lastId += 1;
    const login = lastId;
    const judged = new Promise<Judgement>((resolve) => judging.set(login, resolve));
    tell({ kind: 'login', login, clientId, username, password: new Uint8Array(password), certificate });
    return principalOf(login, await judged);
  },
  onMessage: (deviceId, topic, payload) => {
    lastId += 1;
    const id = lastId;
    arrived.add({ id, deviceId, topic }, payload);
    flushSoon();
    return new Promise((resolve) => committing.set(id, resolve));
  },
  onConnections: flushSoon,
});

async function listen(): Promise<void> {
  try {
    tell({ kind: 'listening', ports: await broker.listen() });
  } catch (error) {
    const { message, code } = error as NodeJS.ErrnoException;
    tell({ kind: 'refused', message, code: code ?? null });
  }
}

async function close(): Promise<void> {
  await broker.close();
  flush();
  tell({ kind: 'closed' });
}

const obey: { [Kind in ToBroker['kind']]: (order: Extract<ToBroker, { kind: Kind }>) => void } = {
  listen: () => void listen(),
  credentials: ({ credentials }) => broker.setCredentials(credentials),
  publish: ({ packed }) => {
    for (const [{ topic, qos, retain }, payload] of unpacked(packed)) broker.publish(topic, payload, { qos, retain });
  },
  disconnect: ({ deviceId }) => broker.disconnect(deviceId),
  judged: ({ login, judgement }) => {
    judging.get(login)?.(judgement);
    judging.delete(login);
  },
  end: ({ login }) => operators.get(login)?.(),
  committed: ({ ids }) => {
    for (const id of ids) {
      committing.get(id)?.();
      committing.delete(id);
    }
  },
  close: () => void close(),
};

port.on('message', (order: ToBroker) => obey[order.kind](order as never));
tell({ kind: 'ready' });
