import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import { writeAtomic } from './io/atomic-file.js';
import { describeStaged } from './io/tuf/describe-change.js';
import { type RootRequest, revoke, rotate, stageRoot } from './io/tuf/key-changes.js';
import { KEY_PURPOSES, type KeyPurpose, writeKeyPair } from './io/tuf/key-folder.js';
import { MAX_VERSION, TOP_ROLES, type TopRole } from './io/tuf/metadata-schema.js';
import { parseSignatures, parseStaged, signStaged } from './io/tuf/sign-offline.js';
import { newSigningKey, parsePublicKey, parseSigningKey } from './io/tuf/signing-key.js';
import { TufError } from './io/tuf/tuf-error.js';
import type { TufRepository } from './io/tuf/tuf-repository.js';
import { type TufStatus, tufStatus } from './io/tuf/tuf-status.js';
import { loadConfig } from './load-config.js';
import { withTrust } from './trust-wiring.js';

interface DataOptions {
  config?: string;
  data?: string;
  json?: boolean;
}

const systemNow = () => new Date();

/** `vigie-server tuf ...`: the fleet's keys and signatures. All but `sign` and `new-key` work on the folder of a stopped server. */
export function addTufCommands(program: Command): void {
  const tuf = program.command('tuf').description("the fleet's trust: keys, signatures, what waits for them");
  const onFolder = (name: string, description: string) =>
    tuf
      .command(name)
      .description(`${description}; the server must not run`)
      .option('--config <file>', 'YAML file: where data folder and database are')
      .option('--data <dir>', 'data folder (default vigie-data)')
      .option('--json', 'print one JSON document');

  onFolder('status', 'roles, keys, expiries, and what waits for signatures').action((options: DataOptions) =>
    change(options, async () => []),
  );
  onFolder('stage-root', 'make a new root: with a later expiry, other keys, another threshold')
    .option('--add-key <role=file>', 'public key (.pub.pem) that may sign for a role too', list, [])
    .option('--remove-key <role=keyid>', 'key that may sign for a role no longer', list, [])
    .option('--threshold <role=n>', 'how many keys of a role must sign', list, [])
    .action(async (options: DataOptions & { addKey: string[]; removeKey: string[]; threshold: string[] }) => {
      const request = await rootRequest(options);
      await change(options, async (repository) => {
        await stageRoot(repository, request);
        return ['a new root was made'];
      });
    });
  onFolder('rotate', 'make a new key, made here, for a role')
    .argument('<role>', KEY_PURPOSES.join(', '), purpose)
    .option('--key <keyid>', 'which key it replaces, where the role has several')
    .action(async (role: KeyPurpose, options: DataOptions & { key?: string }) => {
      await change(options, async (repository) => {
        const { keyid } = await rotate(repository, role, options.key);
        return [`${role} has a new key ${keyid}`];
      });
    });
  onFolder('revoke', 'take a key away from every role')
    .argument('<keyid>', 'id of the key, or its first eight digits or more')
    .action(async (keyid: string, options: DataOptions) => {
      await change(options, async (repository) => [
        `key ${keyid} signs no longer for: ${(await revoke(repository, keyid)).join(', ')}`,
      ]);
    });
  onFolder('accept', 'take in signatures that "tuf sign" made; what is complete is published')
    .argument('<file>', 'what "tuf sign" wrote')
    .action(async (file: string, options: DataOptions) => {
      const offered = parseSignatures(await read(file), file);
      await change(options, async (repository) => {
        await repository.accept(offered);
        return offered.signatures.map(({ role, version, keyid }) => `${role} ${version}: signature of ${keyid} taken`);
      });
    });
  addContinueAbove(onFolder);
  addOffline(tuf);
}

function addContinueAbove(onFolder: (name: string, description: string) => Command): void {
  const versions = ['targets', 'certified', 'snapshot', 'timestamp'] as const;
  const command = onFolder(
    'continue-above',
    'after a restore from a backup: go on with higher versions than boards have seen',
  ).option('--by <n>', 'so many above the versions of the backup', version);
  for (const role of versions) command.option(`--${role} <version>`, 'highest that was seen', version);
  command.action(
    async (options: DataOptions & { by?: number } & Partial<Record<(typeof versions)[number], number>>) => {
      await change(options, async (repository) => {
        const present = repository.versions();
        const floor: Partial<Record<(typeof versions)[number], number>> = {};
        for (const role of versions) {
          const seen = options[role] ?? (options.by === undefined ? undefined : present[role] + options.by);
          if (seen !== undefined) floor[role] = seen;
        }
        if (Object.keys(floor).length === 0) throw new TufError('REQUEST_UNFIT', 'name the versions, or --by 100000');
        await repository.continueAbove(floor);
        return ['versions continue above what was seen'];
      });
    },
  );
}

/** What works where no data folder is: on the machine that keeps the keys. */
function addOffline(tuf: Command): void {
  tuf
    .command('sign')
    .description('say what is staged, and sign it; needs no data folder and no network')
    .requiredOption('--key <file>', 'private key (PEM)')
    .requiredOption('--in <file>', 'tuf/staged/*.json of the server, or the answer of GET /api/v1/tuf/staged')
    .option('--out <file>', 'where the signatures go; left out: only say what would be signed')
    .action(async ({ key: keyFile, in: input, out }: { key: string; in: string; out?: string }) => {
      const key = parseSigningKey(await read(keyFile), keyFile);
      const staged = parseStaged(await read(input), input);
      const signatures = signStaged(staged, key);
      process.stdout.write(`${describeStaged(staged, key).join('\n')}\n`);
      if (out === undefined) return;
      await writeAtomic(resolve(out), `${JSON.stringify(signatures)}\n`);
      process.stdout.write(`Signed with key ${key.keyid.slice(0, 8)}: ${out}\n`);
    });
  tuf
    .command('new-key')
    .description('make a key pair: FILE (private, mode 0600) and its public half (.pub.pem)')
    .requiredOption('--out <file>', 'file of the private key')
    .action(async ({ out }: { out: string }) => {
      const path = resolve(out);
      if (await read(path).catch(() => null))
        throw new TufError('REQUEST_UNFIT', `${out}: is there already; name a new file`);
      const key = newSigningKey();
      await writeKeyPair(path, key);
      process.stdout.write(`${key.keyid}\n`);
    });
}

/** Changes the repository, then prints what was done and how things stand. */
async function change(options: DataOptions, work: (repository: TufRepository) => Promise<string[]>): Promise<void> {
  const { done, status } = await withTrust(await loadConfig(options), systemNow, async (repository) => ({
    done: await work(repository),
    status: tufStatus(repository),
  }));
  if (options.json) process.stdout.write(`${JSON.stringify({ done, ...status })}\n`);
  else process.stdout.write(`${[...done, ...describeStatus(status)].join('\n')}\n`);
}

function describeStatus({ roles, staged, warnings }: TufStatus): string[] {
  const lines: string[] = [];
  for (const { role, version, expires, threshold, keys } of roles) {
    const until = expires === null ? '' : `, version ${version}, good until ${expires}`;
    lines.push(`${role}: ${threshold} of ${keys.length} keys must sign${until}`);
    for (const { keyid, here, state } of keys)
      lines.push(`  ${keyid}  ${here ? 'here' : 'offline'}${state === 'present' ? '' : `, ${state}`}`);
  }
  for (const { role, version, missing, signedBy } of staged)
    lines.push(`staged: ${role} ${version}, ${missing} signatures missing, signed by ${signedBy.length}`);
  return [...lines, ...warnings.map((line) => `! ${line}`)];
}

async function rootRequest(options: {
  addKey: string[];
  removeKey: string[];
  threshold: string[];
}): Promise<RootRequest> {
  const add = await Promise.all(
    options.addKey.map(async (text) => {
      const [role, file] = pair(text, '--add-key');
      return { role, key: parsePublicKey(await read(file), file) };
    }),
  );
  const remove = options.removeKey.map((text) => {
    const [role, keyid] = pair(text, '--remove-key');
    return { role, keyid };
  });
  const thresholds = options.threshold.map((text) => {
    const [role, count] = pair(text, '--threshold');
    if (!/^([1-9]|1[0-6])$/.test(count)) throw new TufError('REQUEST_UNFIT', `--threshold ${text}: is not 1..16`);
    return { role, threshold: Number(count) };
  });
  return { add, remove, thresholds };
}

function pair(text: string, option: string): [TopRole, string] {
  const at = text.indexOf('=');
  const role = TOP_ROLES.find((one) => one === text.slice(0, at));
  if (role !== undefined) return [role, text.slice(at + 1)];
  throw new TufError('REQUEST_UNFIT', `${option} ${text}: write ROLE=..., ROLE one of ${TOP_ROLES.join(', ')}`);
}

async function read(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new TufError(
      'REQUEST_UNFIT',
      `${path}: cannot be read (${(error as NodeJS.ErrnoException).code}); name an existing file`,
    );
  }
}

function list(value: string, before: string[]): string[] {
  return [...before, value];
}

function purpose(text: string): KeyPurpose {
  const found = KEY_PURPOSES.find((one) => one === text);
  if (found === undefined) throw new InvalidArgumentError(`one of ${KEY_PURPOSES.join(', ')}.`);
  return found;
}

function version(text: string): number {
  const value = Number(text);
  if (!/^[1-9]\d{0,9}$/.test(text) || value > MAX_VERSION / 2)
    throw new InvalidArgumentError(`a whole number in 1..${MAX_VERSION / 2}.`);
  return value;
}
