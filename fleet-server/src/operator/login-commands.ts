import { createInterface } from 'node:readline/promises';
import { text as streamText } from 'node:stream/consumers';
import type { Command } from 'commander';
import { ApiClient } from './api-client.js';
import { ApiError, UsageError } from './api-error.js';
import { probeAuthority } from './authority-probe.js';
import { type CommandContext, checkedServer, type GlobalOptions, readAuthority } from './context.js';
import { dropLogin, loginPath, writeLogin } from './login-file.js';

interface LoginOptions {
  tokenStdin?: boolean;
  fingerprint?: string;
}

/** `vigie login`, `vigie logout` */
export function addLoginCommands(program: Command, { print }: CommandContext, env: NodeJS.ProcessEnv): void {
  program
    .command('login')
    .description('keep --server and a token for the commands that follow; an https server is pinned by its authority')
    .option('--token-stdin', 'read the token from stdin')
    .option('--fingerprint <sha256>', "the authority's fingerprint: what stands behind the point of an enrolment token")
    .action(async (options: LoginOptions) => {
      const given = program.opts<GlobalOptions>();
      const address = given.server ?? env.VIGIE_SERVER;
      if (address === undefined)
        throw new UsageError('SERVER_MISSING', 'say which server: vigie login --server https://fleet.example:8443');
      const server = checkedServer(address).replace(/\/+$/, '');
      const token = await takeToken(options.tokenStdin === true, given.token ?? env.VIGIE_TOKEN);
      const named = readAuthority(given.ca ?? env.VIGIE_CA);
      const authority = named ?? (await pin(server, options.fingerprint));
      // Cheap, and refused to whoever has no right at all.
      await new ApiClient(server, token, { authority }).get('/tuf');
      const path = loginPath(env);
      writeLogin(path, { server, token, ...(authority === null ? {} : { authority }) });
      print({ server, file: path, pinned: authority !== null }, () => `logged in at ${server}; kept in ${path}\n`);
    });
  program
    .command('logout')
    .description('forget server and token')
    .action(() => {
      const path = loginPath(env);
      const dropped = dropLogin(path);
      print({ file: path, dropped }, () => (dropped ? `${path} removed\n` : 'nobody was logged in\n'));
    });
}

async function takeToken(fromStdin: boolean, given: string | undefined): Promise<string> {
  const token = fromStdin ? (await streamText(process.stdin)).trim() : given;
  if (!token)
    throw new UsageError('TOKEN_MISSING', 'pipe the token in with --token-stdin, or set VIGIE_TOKEN for this command');
  if (!/^[\w-]{16,200}$/.test(token)) throw new UsageError('TOKEN_INVALID', 'this is no token; copy it whole');
  return token;
}

/** PEM of the authority to trust; null: the system trusts this server already, or there is no TLS. Throws ApiError. */
async function pin(server: string, fingerprint: string | undefined): Promise<string | null> {
  if (!server.startsWith('https:')) return null;
  if (fingerprint === undefined) {
    const known = await new ApiClient(server, null).get('/tuf').then(
      () => true,
      // A refusal came over a connection that was trusted.
      (error: ApiError) => error.code !== 'SERVER_UNTRUSTED' && throwUnlessAnswered(error),
    );
    if (known) return null;
  }
  const shown = await probeAuthority(server);
  if (fingerprint !== undefined) {
    if (shown.fingerprint === fingerprint) return shown.certificate;
    throw new ApiError(
      'FINGERPRINT_MISMATCH',
      `${server} shows the authority ${shown.fingerprint}: it is another server, or somebody stands in between; nothing was sent`,
    );
  }
  if (process.stdin.isTTY && (await confirm(server, shown.fingerprint))) return shown.certificate;
  throw new ApiError(
    'SERVER_UNTRUSTED',
    `${server} shows the authority ${shown.fingerprint}; compare it with what stands behind the point of an enrolment token ` +
      'of this server and give it as --fingerprint, or name the file with --ca',
  );
}

function throwUnlessAnswered(error: ApiError): true {
  if (error.status === null) throw error;
  return true;
}

async function confirm(server: string, fingerprint: string): Promise<boolean> {
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await lines.question(`${server} shows the authority ${fingerprint}. Trust it from now on? [y/N] `);
    return /^y(es)?$/i.test(answer.trim());
  } finally {
    lines.close();
  }
}
