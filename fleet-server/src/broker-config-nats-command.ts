import { randomBytes } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { text as readAll } from 'node:stream/consumers';
import { Type } from '@sinclair/typebox';
import { Value } from '@sinclair/typebox/value';
import { DeviceId } from '@vigie/protocol';
import { Command, InvalidArgumentError } from 'commander';
import { ConfigError } from './config.js';
import { writeAtomic } from './io/atomic-file.js';
import { boardsIn, NATS_FILES as FILES, type NatsNode, natsConfig, natsUsers } from './io/nats-config.js';
import { Authority } from './io/pki/authority.js';
import { newKeyPair, privateKeyPem } from './io/pki/x509-library.js';

interface Flags {
  data: string;
  out: string;
  node: NatsNode[];
  devices?: string;
  directory?: string;
  usersOnly: boolean;
  json: boolean;
}

/** Life of the nodes' certificates, days. */
const DAYS = 397;
/** What stays the same when the command runs again. */
const CLUSTER_FILE = 'cluster.json';
const NODE =
  /^([A-Za-z0-9_-]{1,32})=(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9][A-Za-z0-9._-]{0,252})(?::(\d{1,5}))?(?::(\d{1,5}))?$/;

const Cluster = Type.Object({
  /** The fleet server's client id and name. NATS believes client ids, so that nobody shall guess this one. */
  clientId: Type.String({ pattern: '^vigie-[a-z0-9-]{1,40}$' }),
  routeSecret: Type.String({ pattern: '^[0-9a-f]{32,}$' }),
});

const DeviceList = Type.Object({
  items: Type.Array(Type.Object({ id: Type.String(), revokedAt: Type.Union([Type.String(), Type.Null()]) })),
});

/** `vigie-server broker-config nats`: configuration, certificates and users of a NATS cluster with JetStream. */
export function natsConfigCommand(): Command {
  return new Command('nats')
    .description(
      'write the configuration, users and certificates of a NATS cluster (2.9, JetStream, MQTT) for this fleet',
    )
    .requiredOption('--out <dir>', 'folder to write; private keys in it are readable by their owner only')
    .option('--data <dir>', 'data folder of the server', 'vigie-data')
    .option('--node <name=host[:port[:cluster-port]]>', 'a node; three times for a cluster that survives one', node, [])
    .option('--devices <file>', 'the boards: what `vigie device list --json` printed, or one id a line; - for stdin')
    .option('--directory <dir>', 'where the files will lie on the brokers (default: the folder of --out)')
    .option('--users-only', 'only bring the list of boards up to date', false)
    .option('--json', 'print one JSON document', false)
    .action(run);
}

async function run(flags: Flags): Promise<void> {
  const out = resolve(flags.out);
  const authority = await Authority.open(join(resolve(flags.data), 'pki'));
  if (!flags.usersOnly && flags.node.length === 0)
    throw new ConfigError('--node: is missing; name each node, such as --node n1=nats-1.example');
  if (flags.usersOnly && flags.devices === undefined)
    throw new ConfigError('--devices: is missing; --users-only writes the list of boards from it');
  await mkdir(out, { recursive: true, mode: 0o700 });
  const { clientId, routeSecret } = await openCluster(join(out, CLUSTER_FILE), flags.usersOnly);
  const ids = flags.devices === undefined ? [] : admitted(await input(flags.devices), flags.devices);
  const letIn = new Set(ids);
  const before = boardsIn(await readFile(join(out, FILES.users), 'utf8').catch(absent), clientId);
  const shutOut = before.filter((id) => !letIn.has(id));
  const files: Record<string, string> = { [FILES.users]: natsUsers(clientId, ids, shutOut) };
  if (!flags.usersOnly) {
    files[CLUSTER_FILE] = `${JSON.stringify({ clientId, routeSecret }, null, 2)}\n`;
    files[FILES.authority] = authority.certificate;
    const options = { directory: resolve(flags.directory ?? out), nodes: flags.node, routeSecret };
    for (const one of flags.node) {
      const keys = await newKeyPair();
      // Boards reach every node by the name of the cluster: each certificate holds all names.
      const names = [
        ...new Set(['localhost', '127.0.0.1', ...flags.node.map(({ host }) => host.replace(/^\[|\]$/g, ''))]),
      ];
      files[FILES.config(one.name)] = natsConfig(one, options);
      files[FILES.key(one.name)] = await privateKeyPem(keys.privateKey);
      files[FILES.certificate(one.name)] = (
        await authority.issueServer(names, keys.publicKey, DAYS, new Date(), 'node')
      ).pem;
    }
  }
  for (const [name, text] of Object.entries(files)) await writeAtomic(join(out, name), text);
  const written = Object.keys(files);
  process.stdout.write(
    flags.json
      ? `${JSON.stringify({ directory: out, files: written, clientId, boards: ids.length, shutOut: shutOut.length })}\n`
      : `${written.map((name) => join(out, name)).join('\n')}\n${ids.length} boards may come in. ` +
          (flags.usersOnly
            ? `Copy ${FILES.users} to every node, then: nats-server --signal reload\n`
            : `Copy the folder to every node, start each with its file, and tell the server mqtt.broker.clientId: ${clientId}\n`),
  );
}

async function openCluster(path: string, mustExist: boolean): Promise<{ clientId: string; routeSecret: string }> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    if (mustExist) throw new ConfigError(`${path}: is missing; run without --users-only first`);
    return { clientId: `vigie-${randomBytes(12).toString('hex')}`, routeSecret: randomBytes(24).toString('hex') };
  }
  const cluster: unknown = parsed(text, path);
  if (!Value.Check(Cluster, cluster))
    throw new ConfigError(`${path}: is no file of this command; remove it and configure the cluster anew`);
  return cluster;
}

function absent(error: NodeJS.ErrnoException): string {
  if (error.code !== 'ENOENT') throw error;
  return '';
}

async function input(path: string): Promise<string> {
  if (path === '-') return readAll(process.stdin);
  return readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new ConfigError(`--devices: ${path} cannot be read (${error.code}); name a file, or - for stdin`);
  });
}

/** Boards that are let in, in order: those of the list that were not revoked. Throws ConfigError. */
function admitted(text: string, origin: string): string[] {
  const rows: { id: unknown }[] = text.trimStart().startsWith('{')
    ? deviceList(parsed(text, origin), origin)
    : text
        .split('\n')
        .map((line) => ({ id: line.trim() }))
        .filter(({ id }) => id !== '');
  const ids = rows.map((row) => {
    if (Value.Check(DeviceId, row?.id)) return row.id;
    throw new ConfigError(`--devices: ${origin}: ${JSON.stringify(row?.id)} is no device id; one id a line, or JSON`);
  });
  return [...new Set(ids)].sort();
}

function deviceList(document: unknown, origin: string): { id: unknown }[] {
  if (Value.Check(DeviceList, document)) return document.items.filter(({ revokedAt }) => revokedAt === null);
  throw new ConfigError(`--devices: ${origin}: is not what \`vigie device list --json\` prints`);
}

function parsed(text: string, origin: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new ConfigError(`${origin}: is not JSON (${(error as Error).message})`);
  }
}

function node(value: string, previous: NatsNode[]): NatsNode[] {
  const [, name, host, port = '8883', clusterPort = '6222'] = NODE.exec(value) ?? [];
  const ports = [port, clusterPort].map(Number);
  if (name === undefined || ports.some((one) => one < 1 || one > 65_535))
    throw new InvalidArgumentError('NAME=HOST, such as n1=nats-1.example or n1=10.0.0.5:8883:6222.');
  if (previous.some((one) => one.name === name)) throw new InvalidArgumentError(`"${name}" is named twice.`);
  return [...previous, { name, host, port: ports[0], clusterPort: ports[1] }];
}
