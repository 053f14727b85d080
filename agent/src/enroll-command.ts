import { hostname } from 'node:os';
import { Value } from '@sinclair/typebox/value';
import { DeviceId } from '@vigie/protocol';
import { Command } from 'commander';
import { EnrollError, enroll } from './io/enroll.js';
import { IdentityError } from './io/identity.js';

interface EnrollFlags {
  server: string;
  token?: string;
  data: string;
  deviceId?: string;
  hardwareClass?: string;
  force: boolean;
  json: boolean;
}

/** `vigie-agent enroll`: trades an enrollment token for this board's identity. Exit 2 for wrong use, 1 for a refusal. */
export function enrollCommand(agentVersion: string): Command {
  return new Command('enroll')
    .description('enroll this board in a fleet')
    .requiredOption('--server <url>', 'the fleet server, e.g. https://fleet.example.org:8443')
    .option(
      '--token <token>',
      'enrollment token; better in VIGIE_ENROLL_TOKEN, for others on this machine can read arguments',
    )
    .requiredOption('--data <directory>', "the agent's data directory")
    .option('--device-id <id>', 'name of this board in the fleet (A-Z a-z 0-9 _ -); default: its host name')
    .option(
      '--hardware-class <class>',
      'what kind of board this is, e.g. rpi5-8g; default: generic-x64 or generic-arm64',
    )
    .option('--force', 'replace an identity that stands there', false)
    .option('--json', 'print one JSON document', false)
    .action(async (flags: EnrollFlags) => {
      process.exitCode = await run(flags, agentVersion);
    });
}

async function run(flags: EnrollFlags, agentVersion: string): Promise<number> {
  const token = flags.token ?? process.env.VIGIE_ENROLL_TOKEN ?? '';
  if (token === '') {
    return fail(flags, 2, 'TOKEN_INVALID', 'no enrollment token; give it in VIGIE_ENROLL_TOKEN or by --token');
  }
  const deviceId =
    flags.deviceId ??
    hostname()
      .replace(/[^A-Za-z0-9_-]/g, '-')
      .slice(0, 64);
  if (!Value.Check(DeviceId, deviceId)) {
    return fail(
      flags,
      2,
      'DEVICE_ID_INVALID',
      `--device-id "${deviceId}": 1 to 64 of A-Z a-z 0-9 _ -, a letter or digit first`,
    );
  }
  const hardwareClass = flags.hardwareClass ?? `generic-${process.arch}`;
  try {
    const identity = await enroll({
      server: flags.server,
      dataDirectory: flags.data,
      token,
      request: { deviceId, hardwareClass, agentVersion },
      force: flags.force,
    });
    if (flags.json) {
      print({ ok: true, deviceId, hardwareClass, mqtt: identity.mqtt.url, dataDirectory: flags.data });
    } else {
      process.stdout.write(`enrolled as "${deviceId}" (${hardwareClass}); the identity is in ${flags.data}\n`);
    }
    return 0;
  } catch (error) {
    if (error instanceof EnrollError) {
      const wrongUse = ['SERVER_URL_INVALID', 'ALREADY_ENROLLED', 'TOKEN_INVALID'].includes(error.code);
      return fail(flags, wrongUse ? 2 : 1, error.code, error.message);
    }
    if (error instanceof IdentityError) return fail(flags, 1, error.code, error.message);
    const { code, message } = error as NodeJS.ErrnoException;
    return fail(flags, 1, code ?? 'INTERNAL', `--data ${flags.data}: ${message}`);
  }
}

function fail(flags: EnrollFlags, exitCode: number, code: string, message: string): number {
  if (flags.json) print({ ok: false, code, message });
  process.stderr.write(`vigie-agent enroll: ${message}\n`);
  return exitCode;
}

function print(document: object): void {
  process.stdout.write(`${JSON.stringify(document)}\n`);
}
