import { readFile } from 'node:fs/promises';
import type { Logger } from 'pino';
import { ConfigError, type ServerConfig } from './config.js';
import { BrokerThread } from './io/built-in-broker/broker-thread.js';
import { type BrokerClientCredentials, MqttBrokerClient } from './io/mqtt-broker-client.js';
import type { Authority } from './io/pki/authority.js';
import type { ServerCredentials } from './io/pki/server-certificate.js';
import { newKeyPair, privateKeyPem } from './io/pki/x509-library.js';
import type { Authenticate, Broker, MessageHandler } from './ports.js';
import type { Pki } from './tls-wiring.js';

/** Life of the certificate by which the server logs in on an external broker; it gets a new one at each start and renewal. */
const CLIENT_DAYS = 397;

/** The built-in broker, or the connection to an external one. */
export interface RunningBroker extends Broker {
  /** Lets boards in, or begins to connect. Ports that were taken; 0 where nothing listens. */
  listen(): Promise<{ plain: number; secure: number }>;
  /** `built-in`, or whether the external one is reached. */
  readonly state: 'built-in' | 'connected' | 'disconnected';
  /** The server's certificate was renewed. */
  setCredentials(credentials: ServerCredentials): Promise<void>;
  close(): Promise<void>;
}

export interface BrokerDuties {
  authenticate: Authenticate;
  onMessage: MessageHandler;
  /** A new connection to an external broker: who is online is to be found out. */
  onConnect(): Promise<void>;
  /** Publishes all retained state. */
  republish(): Promise<void>;
  /** The built-in broker's thread died: the process cannot go on. */
  onLost(error: Error): void;
}

/** Opens the broker that the configuration names. Throws ConfigError for files that cannot be read. */
export async function openBroker(
  { mqtt, mqtts }: Pick<ServerConfig, 'mqtt' | 'mqtts'>,
  /** Among several servers on one broker; null: it is alone. */
  replica: string | null,
  pki: Pki,
  duties: BrokerDuties,
  log: Logger,
  now: () => Date,
): Promise<RunningBroker> {
  if (mqtt.broker === undefined) {
    const builtIn = await BrokerThread.create({
      plain: mqtt,
      secure: { ...mqtts, credentials: pki.certificate.credentials, authority: pki.authority.certificate },
      authenticate: duties.authenticate,
      onMessage: duties.onMessage,
      onLost: duties.onLost,
      log,
    });
    return {
      state: 'built-in',
      publish: (topic, payload, options) => builtIn.publish(topic, payload, options),
      disconnect: (deviceId) => builtIn.disconnect(deviceId),
      get connections() {
        return builtIn.connections;
      },
      listen: () => builtIn.listen(),
      setCredentials: async (credentials) => builtIn.setCredentials(credentials),
      close: () => builtIn.close(),
    };
  }
  const { url, alternatives, clientId } = mqtt.broker;
  const credentials = await clientCredentials(mqtt.broker, pki.authority, now());
  let client: MqttBrokerClient | null = null;
  return {
    get state() {
      return client?.connected === true ? 'connected' : 'disconnected';
    },
    publish: (topic, payload, options) => client?.publish(topic, payload, options),
    disconnect: (deviceId) => client?.disconnect(deviceId),
    get connections() {
      return client?.connections ?? 0;
    },
    async listen() {
      const { onMessage, onConnect, republish } = duties;
      const connections = replica === null ? clientId : `${clientId}-${replica}`;
      client = MqttBrokerClient.start({
        ...{ urls: [url, ...alternatives], clientId: connections, credentials, onMessage, onConnect, republish, log },
      });
      return { plain: 0, secure: 0 };
    },
    async setCredentials() {
      const renewed = mqtt.broker && (await clientCredentials(mqtt.broker, pki.authority, now()));
      if (renewed) client?.setCredentials(renewed);
    },
    close: async () => client?.close(),
  };
}

type ExternalBroker = NonNullable<ServerConfig['mqtt']['broker']>;

/** From files where they are named; else the fleet's own authority is believed and signs for the server. Null without TLS. */
async function clientCredentials(
  { url, clientId, caFile, certFile, keyFile }: ExternalBroker,
  authority: Authority,
  now: Date,
): Promise<BrokerClientCredentials | null> {
  if (!url.startsWith('mqtts:')) return null;
  const ca = caFile === undefined ? authority.certificate : await readPem('caFile', caFile);
  if (certFile !== undefined && keyFile !== undefined)
    return { ca, cert: await readPem('certFile', certFile), key: await readPem('keyFile', keyFile) };
  const keys = await newKeyPair();
  const { pem } = await authority.issueClient(clientId, keys.publicKey, CLIENT_DAYS, now);
  return { ca, cert: pem, key: await privateKeyPem(keys.privateKey) };
}

async function readPem(field: string, path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new ConfigError(
      `mqtt.broker.${field}: ${path} cannot be read (${(error as NodeJS.ErrnoException).code}); name a PEM file`,
    );
  }
}
