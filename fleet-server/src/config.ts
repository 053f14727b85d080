import { readFile } from 'node:fs/promises';
import { type Static, type TSchema, Type } from '@sinclair/typebox';
import { Value } from '@sinclair/typebox/value';
import { parse } from 'yaml';
import { AccessConfig, trustedProxyProblem } from './config-access.js';
import { DriftConfig, EnrollmentConfig, PresenceConfig, RetentionConfig } from './config-devices.js';
import { GatesConfig } from './config-gates.js';
import { MlflowConfig, mlflowProblem, RegistryConfig } from './config-registry.js';
import { NotificationConfig, notificationProblem } from './notification-config.js';
import { cronProblem } from './rollout/schedule.js';

const Strict = { additionalProperties: false } as const;
const Url = (protocols: string, description: string) =>
  Type.Optional(Type.String({ pattern: `^(${protocols})://[^\\s/]+(/.*)?$`, maxLength: 500, description }));
const Host = (description: string) =>
  Type.String({ default: '127.0.0.1', pattern: '^[0-9A-Za-z.:_-]+$', maxLength: 253, description });
const Port = (port: number, description: string) =>
  Type.Integer({ default: port, minimum: 0, maximum: 65_535, description });
const Whole = (value: number, minimum: number, maximum: number, description: string) =>
  Type.Integer({ default: value, minimum, maximum, description });

const File = (description: string) => Type.Optional(Type.String({ minLength: 1, maxLength: 4000, description }));
const PemFile = (description: string) => Type.Optional(Type.String({ minLength: 1, maxLength: 4000, description }));
const BrokerUrl = (description: string) =>
  Type.String({ pattern: '^mqtts?://[^\\s/@]+$', maxLength: 500, description });
/** docs/mosquitto.md, docs/nats.md */
const ExternalBroker = Type.Object(
  {
    url: BrokerUrl('an MQTT 3.1.1 broker as this server reaches it, such as mqtts://broker.example:8884'),
    alternatives: Type.Array(BrokerUrl('another node of the same cluster'), {
      default: [],
      maxItems: 8,
      description: 'tried in turn while the one before does not answer; TLS as with `url`',
    }),
    clientId: Type.String({
      default: 'vigie-server',
      pattern: '^vigie-[a-z0-9-]{1,40}$',
      description: "how this server's connections begin, and the name in its certificate; each server needs its own",
    }),
    caFile: PemFile("authority of the broker's certificate, PEM; the fleet's own when absent"),
    certFile: PemFile("this server's certificate on the broker, PEM; issued by the fleet's authority when absent"),
    keyFile: PemFile('its key, PEM'),
  },
  { ...Strict, description: 'in place of the built-in broker' },
);

/** docs/engines-server.md */
const DatabaseConfig = Type.Object(
  {
    url: Url('postgres(ql)?', 'PostgreSQL 15 or newer, such as postgres://vigie:PASSWORD@db.example/vigie'),
    urlFile: File('file that holds the URL and nothing else; the variable VIGIE_DATABASE_URL holds it, too'),
    tls: Type.Optional(
      Type.Union(
        ['verify', 'unverified', 'off'].map((mode) => Type.Literal(mode)),
        { description: "check the database's certificate and name; verify unless it is on this machine" },
      ),
    ),
    caFile: File("authority of the database's certificate, PEM; those of the system when absent"),
    certFile: File('certificate of this server for the database, PEM'),
    keyFile: File('its key, PEM'),
    connections: Whole(10, 1, 500, 'connections at the most'),
    statementTimeoutSeconds: Whole(30, 1, 3600, 'a statement that takes longer fails, s'),
    startupSeconds: Whole(60, 0, 86_400, 'how long a start waits for a database that does not answer, s'),
    slowStatementMs: Whole(1000, 1, 3_600_000, 'a statement of the embedded database that takes longer is logged, ms'),
  },
  { ...Strict, default: {}, description: 'in place of the embedded database' },
);

const ObjectsConfig = Type.Object(
  {
    url: Type.Optional(
      Type.String({
        pattern: '^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9._/-]*)?$',
        maxLength: 500,
        description:
          'bucket of an S3-compatible store and what stands in front of each name, such as s3://bucket/vigie',
      }),
    ),
    endpoint: Type.Optional(
      Type.String({
        pattern: '^https?://[^\\s/@]+/?$',
        maxLength: 500,
        description: "address of the store, such as https://minio.example:9000; Amazon's when absent",
      }),
    ),
    region: Type.String({ default: 'us-east-1', pattern: '^[a-z0-9-]{1,40}$', description: 'region of the bucket' }),
    credentialsFile: File(
      'file with aws_access_key_id and aws_secret_access_key; else AWS_ACCESS_KEY_ID and so on count',
    ),
    caFile: File("authority of the store's certificate, PEM; those of the system when absent"),
  },
  { ...Strict, default: {}, description: 'in place of folders for files of releases and pictures' },
);

/** `vigie-server run --config FILE`: one schema with default, range and unit of each field; unknown keys are refused. */
export const ServerConfig = Type.Object(
  {
    data: Type.Object(
      {
        directory: Type.String({
          default: 'vigie-data',
          minLength: 1,
          maxLength: 4000,
          description: 'folder of keys, database and artifacts',
        }),
      },
      { ...Strict, default: {} },
    ),
    replica: Type.Object(
      {
        name: Type.Optional(
          Type.String({
            pattern: '^[a-z0-9]([a-z0-9-]{0,28}[a-z0-9])?$',
            description: 'name of this server among those on one database; the host name when absent',
          }),
        ),
      },
      { ...Strict, default: {} },
    ),
    database: DatabaseConfig,
    objects: ObjectsConfig,
    http: Type.Object(
      {
        host: Host('address the API listens on without TLS; loopback only'),
        port: Port(8080, 'TCP port; 0 takes a free one'),
        publicUrl: Url('https?', 'the API as operators reach it'),
      },
      { ...Strict, default: {} },
    ),
    https: Type.Object(
      {
        host: Host('address the API listens on with TLS: operators by token, boards by certificate, enrolment'),
        port: Port(8443, 'TCP port; 0 takes a free one'),
        publicUrl: Url('https', 'the server as boards reach it; handed out at enrolment'),
      },
      { ...Strict, default: {} },
    ),
    mqtt: Type.Object(
      {
        host: Host('address the broker listens on without TLS, for operators; loopback only'),
        port: Port(1883, 'TCP port; 0 takes a free one'),
        maxConnections: Whole(1000, 1, 1_000_000, 'open connections'),
        broker: Type.Optional(ExternalBroker),
      },
      { ...Strict, default: {} },
    ),
    mqtts: Type.Object(
      {
        host: Host('address the broker listens on for boards: mutual TLS'),
        port: Port(8883, 'TCP port; 0 takes a free one'),
        publicUrl: Url('mqtts', 'the broker as boards reach it; handed out at enrolment'),
        maxConnections: Whole(20_000, 1, 1_000_000, 'open connections'),
      },
      { ...Strict, default: {} },
    ),
    tls: Type.Object(
      {
        names: Type.Array(Type.String({ pattern: '^[0-9A-Za-z.:_-]+$', maxLength: 253 }), {
          default: [],
          maxItems: 32,
          description: "further host names and addresses in the server's certificate",
        }),
        deviceDays: Whole(365, 1, 3650, "life of a board's certificate, days"),
        renewalGraceDays: Whole(30, 0, 3650, 'a certificate may still be renewed so long after its expiry, days'),
      },
      { ...Strict, default: {} },
    ),
    access: AccessConfig,
    registry: RegistryConfig,
    mlflow: Type.Optional(MlflowConfig),
    gates: GatesConfig,
    upload: Type.Object(
      {
        maxBytes: Whole(268_435_456, 1024, 1_073_741_824, 'largest package, bytes'),
        verifyTimeoutSeconds: Whole(120, 1, 3600, 'time for load and golden test, s'),
        maxOpen: Whole(16, 1, 1000, 'resumable uploads open at the same time; each may take maxBytes of the disk'),
        expiryHours: Whole(24, 1, 720, 'a resumable upload that gets no more bytes is dropped after this, h'),
        verifyMemoryMiB: Whole(1536, 128, 65_536, 'resident memory of load and golden test, MiB'),
      },
      { ...Strict, default: {} },
    ),
    enrollment: EnrollmentConfig,
    presence: PresenceConfig,
    retention: RetentionConfig,
    drift: DriftConfig,
    notifications: NotificationConfig,
    log: Type.Object(
      {
        level: Type.Union(
          ['fatal', 'error', 'warn', 'info', 'debug', 'trace'].map((level) => Type.Literal(level)),
          { default: 'info', description: 'least level that is written' },
        ),
      },
      { ...Strict, default: {} },
    ),
  },
  Strict,
);
export type ServerConfig = Static<typeof ServerConfig>;

/** One line: which field, which value, what to do. */
export class ConfigError extends Error {
  readonly code = 'CONFIG_INVALID';
}

/** Checks a parsed document, fills defaults. Throws ConfigError. `origin` names the document in messages. */
export function parseConfig(document: unknown, origin: string): ServerConfig {
  const value = Value.Default(ServerConfig, Value.Clone(document ?? {}));
  const problem = Value.Errors(ServerConfig, value).First();
  if (problem !== undefined) {
    const field = problem.path.slice(1).replaceAll('/', '.') || '(whole document)';
    throw new ConfigError(`${origin}: ${field}: ${wayOut(problem.schema, problem.value, problem.message)}`);
  }
  const config = value as ServerConfig;
  for (const part of ['http', 'mqtt'] as const) {
    if (!isLoopback(config[part].host)) {
      throw new ConfigError(
        `${origin}: ${part}.host: ${JSON.stringify(config[part].host)} is beyond loopback, and ${part} is without TLS; ` +
          `keep 127.0.0.1 and set ${part}s.host, which asks for a certificate or token`,
      );
    }
  }
  const proxyFault = trustedProxyProblem(config.access.trustedProxies);
  if (proxyFault !== null) throw new ConfigError(`${origin}: ${proxyFault}`);
  checkExternalBroker(config, origin);
  const notificationFault = notificationProblem(config.notifications);
  if (notificationFault !== null) throw new ConfigError(`${origin}: ${notificationFault}`);
  checkDatabase(config, origin);
  checkObjects(config, origin);
  const unclear = config.mlflow === undefined ? null : mlflowProblem(config.mlflow);
  if (unclear !== null) throw new ConfigError(`${origin}: ${unclear}`);
  checkSchedules(config, origin);
  return config;
}

function checkSchedules({ drift }: ServerConfig, origin: string): void {
  for (const field of ['schedule', 'retrainSchedule'] as const) {
    const problem = drift[field] === '' ? null : cronProblem(drift[field]);
    if (problem !== null) throw new ConfigError(`${origin}: drift.${field}: ${problem}`);
  }
}

function checkDatabase({ database }: ServerConfig, origin: string): void {
  const { url, urlFile, certFile, keyFile } = database;
  if (url !== undefined && urlFile !== undefined)
    throw new ConfigError(`${origin}: database: url and urlFile say the same; name one of them`);
  if ((certFile === undefined) !== (keyFile === undefined))
    throw new ConfigError(`${origin}: database: certFile and keyFile belong together; name both or neither`);
}

function checkObjects({ objects: { url, endpoint } }: ServerConfig, origin: string): void {
  if (endpoint === undefined) return;
  if (url === undefined)
    throw new ConfigError(`${origin}: objects.url: is missing; name the bucket, such as s3://vigie`);
  const { protocol, hostname } = new URL(endpoint);
  if (protocol === 'http:' && !isLoopback(hostname.replace(/^\[|\]$/g, '')))
    throw new ConfigError(
      `${origin}: objects.endpoint: "${endpoint}" is beyond loopback and without TLS; use https://`,
    );
}

function checkExternalBroker({ mqtt: { broker }, mqtts }: ServerConfig, origin: string): void {
  if (broker === undefined) return;
  const { url, alternatives, certFile, keyFile } = broker;
  for (const [index, one] of [url, ...alternatives].entries()) {
    const field = `${origin}: mqtt.broker.${index === 0 ? 'url' : `alternatives[${index - 1}]`}`;
    const { protocol, hostname } = new URL(one);
    if (protocol === 'mqtt:' && !isLoopback(hostname.replace(/^\[|\]$/g, '')))
      throw new ConfigError(`${field}: "${one}" is beyond loopback and without TLS; use mqtts://`);
    if (protocol !== new URL(url).protocol)
      throw new ConfigError(`${field}: "${one}" is not like mqtt.broker.url; all with TLS (mqtts://) or none`);
  }
  if ((certFile === undefined) !== (keyFile === undefined)) {
    throw new ConfigError(`${origin}: mqtt.broker: certFile and keyFile belong together; name both or neither`);
  }
  if (mqtts.publicUrl === undefined) {
    throw new ConfigError(
      `${origin}: mqtts.publicUrl: is missing; with an external broker say how boards reach it, such as mqtts://broker.example:8883`,
    );
  }
}

/** Reads a YAML file. Throws ConfigError for a missing or malformed one. */
export async function readConfigFile(path: string): Promise<unknown> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw new ConfigError(
      `${path}: cannot be read (${(error as NodeJS.ErrnoException).code}); name an existing file with --config`,
    );
  }
  try {
    return parse(text, { maxAliasCount: 0 });
  } catch (error) {
    throw new ConfigError(`${path}: not YAML: ${(error as Error).message.split('\n')[0]}; correct that line`);
  }
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host);
}

function wayOut(schema: TSchema, value: unknown, message: string): string {
  const shown = JSON.stringify(value)?.slice(0, 80);
  if (message === 'Unexpected property') return `unknown key (value ${shown}); remove it or correct its spelling`;
  const range = schema.minimum !== undefined ? `a whole number in ${schema.minimum}..${schema.maximum}` : undefined;
  const choices = schema.anyOf?.map((choice: TSchema) => choice.const).join(', ');
  const wanted =
    range ??
    (choices === undefined ? `${schema.type}${schema.pattern ? ` like ${schema.pattern}` : ''}` : `one of ${choices}`);
  const fallback =
    schema.default === undefined || schema.type === 'object'
      ? ''
      : `, or leave it out for ${JSON.stringify(schema.default)}`;
  return `${shown} is not ${wanted}${schema.description ? ` (${schema.description})` : ''}; set one${fallback}`;
}
