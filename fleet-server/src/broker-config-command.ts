import { mkdir, readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join, resolve } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { natsConfigCommand } from './broker-config-nats-command.js';
import { writeAtomic } from './io/atomic-file.js';
import { MOSQUITTO_FILES as FILES, mosquittoAcl, mosquittoConfig } from './io/mosquitto-config.js';
import { Authority } from './io/pki/authority.js';
import { newKeyPair, privateKeyPem } from './io/pki/x509-library.js';
import { revocationListPath } from './tls-wiring.js';

export interface BrokerConfigFlags {
  data: string;
  out: string;
  name: string[];
  port: number;
  serverHost: string;
  serverPort: number;
  directory?: string;
  revokedOnly: boolean;
  json: boolean;
}

/** Life of the broker's and the server's certificates, days. */
const DAYS = 397;
const SERVER = 'vigie-server';
const NAME = /^[A-Za-z0-9:][A-Za-z0-9.:_-]{0,252}$/;

/** `vigie-server broker-config [mosquitto|nats]`: everything that an external broker needs to take this fleet's boards. */
export function brokerConfigCommand(): Command {
  return new Command('broker-config')
    .description('write what an external broker needs for this fleet; Mosquitto when no other is named')
    .addCommand(mosquittoCommand(), { isDefault: true })
    .addCommand(natsConfigCommand());
}

function mosquittoCommand(): Command {
  return new Command('mosquitto')
    .description('write the configuration, access list and certificates of an external Mosquitto for this fleet')
    .requiredOption('--out <dir>', 'folder to write; private keys in it are readable by their owner only')
    .option('--data <dir>', 'data folder of the server', 'vigie-data')
    .option('--name <name>', 'host name or address of the broker; more than once for more names', collect, [])
    .option('--port <port>', 'TCP port of the broker for boards', port, 8883)
    .option('--server-host <address>', 'address of the listener for the fleet server alone', '127.0.0.1')
    .option('--server-port <port>', 'its TCP port', port, 8884)
    .option('--directory <dir>', 'where the files will lie on the broker (default: the folder of --out)')
    .option('--revoked-only', 'only bring the list of revoked certificates up to date', false)
    .option('--json', 'print one JSON document', false)
    .action(run);
}

async function run(flags: BrokerConfigFlags): Promise<void> {
  const { directory: out, files } = await writeBrokerConfig(flags);
  process.stdout.write(
    flags.json
      ? `${JSON.stringify({ directory: out, files })}\n`
      : `${files.map((name) => join(out, name)).join('\n')}\n` +
          (flags.revokedOnly
            ? 'Now restart the broker, or send it SIGHUP.\n'
            : `Give the files to the broker's user (chown), then: mosquitto -c ${join(out, FILES.config)}\n`),
  );
}

/** Writes the files into `out`; returns where they lie and their names. Throws AuthorityError for a folder without an authority. */
export async function writeBrokerConfig(flags: BrokerConfigFlags): Promise<{ directory: string; files: string[] }> {
  const pki = join(resolve(flags.data), 'pki');
  const authority = await Authority.open(pki);
  const out = resolve(flags.out);
  const now = new Date();
  await mkdir(out, { recursive: true, mode: 0o700 });
  const files: Record<string, string> = { [FILES.revoked]: await revocationList(pki, authority, now) };
  if (!flags.revokedOnly) {
    const broker = await newKeyPair();
    const server = await newKeyPair();
    const names = [...new Set(['localhost', '127.0.0.1', hostname(), ...flags.name])].filter((name) => NAME.test(name));
    const { port, serverHost, serverPort } = flags;
    const options = { directory: resolve(flags.directory ?? out), port, serverHost, serverPort, server: SERVER };
    Object.assign(files, {
      [FILES.authority]: authority.certificate,
      [FILES.key]: await privateKeyPem(broker.privateKey),
      [FILES.certificate]: (await authority.issueServer(names, broker.publicKey, DAYS, now)).pem,
      [FILES.serverKey]: await privateKeyPem(server.privateKey),
      [FILES.serverCertificate]: (await authority.issueClient(SERVER, server.publicKey, DAYS, now)).pem,
      [FILES.acl]: mosquittoAcl(options),
      [FILES.config]: mosquittoConfig(options),
    });
    await mkdir(join(out, 'data'), { recursive: true, mode: 0o700 });
  }
  for (const [name, text] of Object.entries(files)) await writeAtomic(join(out, name), text);
  return { directory: out, files: Object.keys(files) };
}

/** As the server wrote it last; an empty one before its first start. */
async function revocationList(pki: string, authority: Authority, now: Date): Promise<string> {
  return readFile(revocationListPath(pki), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
    return authority.revocationList([], now);
  });
}

function collect(value: string, previous: string[]): string[] {
  if (!NAME.test(value)) throw new InvalidArgumentError('a host name or address, such as broker.example or 10.0.0.5.');
  return [...previous, value];
}

function port(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < 1 || value > 65_535) throw new InvalidArgumentError('a TCP port is 1..65535.');
  return value;
}
