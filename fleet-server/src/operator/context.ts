import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { ApiClient } from './api-client.js';
import { ApiError, UsageError } from './api-error.js';
import { loginPath, readLogin } from './login-file.js';

/** What every noun of the `vigie` command line is given. */
export interface CommandContext {
  /** The API of the chosen server in the operator's name. Throws UsageError when no token or no usable address is known. */
  client(): ApiClient;
  /** Prints the document with --json, the text without. Once per command. */
  print(document: unknown, text: () => string): void;
  /** One line on stderr about work that takes long; silent with --json. */
  progress(line: string): void;
  /** Ends the command with 1 and one line. */
  fail(code: string, message: string): never;
  /** Ends the command with 2 and one line: what was typed cannot be meant. */
  misused(code: string, message: string): never;
}

export interface GlobalOptions {
  server?: string;
  token?: string;
  ca?: string;
  json?: boolean;
}

export const DEFAULT_SERVER = 'http://127.0.0.1:8080';

/** Options that stand before or after any noun. */
export function addGlobalOptions(program: Command): void {
  program
    .option('--server <url>', `the fleet server (or VIGIE_SERVER; default ${DEFAULT_SERVER})`)
    .option('--token <token>', "operator's token (better in VIGIE_TOKEN: arguments can be read by other users)")
    .option('--ca <file>', "authority of an https server's certificate, PEM (or VIGIE_CA)")
    .option('--json', 'print one JSON document on stdout');
}

export function commandContext(program: Command, env: NodeJS.ProcessEnv): CommandContext {
  const options = () => program.opts<GlobalOptions>();
  return {
    client() {
      const { server, token, ca } = options();
      const login = readLogin(loginPath(env));
      const url = checkedServer(server ?? env.VIGIE_SERVER ?? login?.server ?? DEFAULT_SERVER);
      // A kept token is for the server that it was kept for, and for no other.
      const kept = login !== null && new URL(login.server).origin === new URL(url).origin ? login : null;
      const secret = token ?? (env.VIGIE_TOKEN || kept?.token);
      if (!secret)
        throw new UsageError(
          'TOKEN_MISSING',
          "no operator's token; run `vigie login`, set VIGIE_TOKEN or give --token",
        );
      return new ApiClient(url, secret, {
        authority: readAuthority(ca ?? env.VIGIE_CA) ?? kept?.authority ?? null,
      });
    },
    print(document, text) {
      process.stdout.write(options().json ? `${JSON.stringify(document)}\n` : text());
    },
    progress(line) {
      if (!options().json) process.stderr.write(`${line}\n`);
    },
    fail(code, message) {
      throw new ApiError(code, message);
    },
    misused(code, message) {
      throw new UsageError(code, message);
    },
  };
}

export function checkedServer(url: string): string {
  const { protocol } = URL.canParse(url) ? new URL(url) : { protocol: '' };
  if (protocol !== 'http:' && protocol !== 'https:')
    throw new UsageError('SERVER_INVALID', `--server ${url}: is no URL; give one such as ${DEFAULT_SERVER}`);
  return url;
}

/** Reads a PEM file; null when none is named. Throws UsageError. */
export function readAuthority(file: string | undefined): string | null {
  if (file === undefined || file === '') return null;
  let pem: string;
  try {
    pem = readFileSync(file, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new UsageError('CA_UNREADABLE', `--ca ${file}: cannot be read (${code}); name an existing PEM file`);
  }
  if (!pem.includes('-----BEGIN CERTIFICATE-----'))
    throw new UsageError('CA_INVALID', `--ca ${file}: holds no certificate in PEM; name DATA/pki/authority.pem`);
  return pem;
}
