#!/usr/bin/env node
import type { Event } from '@vigie/protocol';
import { Command } from 'commander';
import type { DeviceView } from './devices/device-view.js';
import { ApiClient, ApiError } from './operator/api-client.js';
import { printable, table } from './operator/table.js';

interface Release {
  name: string;
  version: string;
  digest: string;
  precision: string;
  bytes: number;
  state: string;
  certifiedBy: string | null;
}

interface AssignOptions {
  retry?: boolean;
  shadow?: string;
  transport?: string;
  jitter?: string;
}

const program = new Command('vigie')
  .description("The operator's command line over the fleet server's API.")
  .option('--server <url>', 'the fleet server (or VIGIE_SERVER; default http://127.0.0.1:8080)')
  .option('--token <token>', "operator's token (better in VIGIE_TOKEN: arguments can be read by other users)")
  .option('--json', 'print one JSON document on stdout');

function client(): ApiClient {
  const { server, token } = program.opts<{ server?: string; token?: string }>();
  const secret = token ?? process.env.VIGIE_TOKEN;
  if (!secret) throw new ApiError('TOKEN_MISSING', "no operator's token; set VIGIE_TOKEN or give --token");
  const url = server ?? process.env.VIGIE_SERVER ?? 'http://127.0.0.1:8080';
  if (!URL.canParse(url))
    throw new ApiError('SERVER_INVALID', `--server ${url}: is no URL; give one such as http://127.0.0.1:8080`);
  return new ApiClient(url, secret);
}

/** Prints the document with --json, the text without. */
function print(document: unknown, text: () => string): void {
  process.stdout.write(program.opts<{ json?: boolean }>().json ? `${JSON.stringify(document)}\n` : text());
}

const label = (release: { name: string; version: string } | null | undefined) =>
  release ? `${release.name}@${release.version}` : '-';

function state(device: DeviceView): string {
  if (device.revokedAt !== null) return 'revoked';
  if (device.inSync) return 'in sync';
  return device.reported?.error?.code ?? (device.desired === null ? '-' : 'pending');
}

const device = program.command('device').description('boards');
device
  .command('list')
  .description('all enrolled boards')
  .action(async () => {
    const { items } = await client().get<{ items: DeviceView[] }>('/devices');
    const row = (one: DeviceView) => [
      one.id,
      one.hardwareClass,
      one.presence.online ? 'online' : 'offline',
      label(one.desired?.release),
      String(one.desired?.generation ?? 0),
      label(one.reported?.active?.release),
      one.reported?.phase ?? '-',
      state(one),
    ];
    print({ items }, () =>
      table(['DEVICE', 'CLASS', 'PRESENCE', 'DESIRED', 'GENERATION', 'ACTIVE', 'PHASE', 'STATE'], items.map(row)),
    );
  });
device
  .command('show <id>')
  .description('one board with its last report and telemetry')
  .action(async (id: string) => {
    const one = await client().get<DeviceView>(`/devices/${encodeURIComponent(id)}`);
    const { reported, telemetry } = one;
    const lines: [string, string][] = [
      ['device', one.id],
      ['class', one.hardwareClass],
      ['presence', `${one.presence.online ? 'online' : 'offline'} (${one.presence.at ?? 'never seen'})`],
      ['desired', `${label(one.desired?.release)} generation ${one.desired?.generation ?? 0}`],
      ['active', reported?.active ? `${label(reported.active.release)}, ${reported.active.framesRun} frames` : '-'],
      ['phase', reported?.phase ?? '-'],
      ['error', reported?.error ? `${reported.error.code}: ${reported.error.message}` : '-'],
      ['state', state(one)],
      ['fps', telemetry ? telemetry.fps.toFixed(1) : '-'],
      [
        'latency',
        telemetry?.latencyMs.total
          ? `p50 ${telemetry.latencyMs.total.p50} ms, p95 ${telemetry.latencyMs.total.p95} ms`
          : '-',
      ],
    ];
    print(one, () => lines.map(([name, value]) => `${name.padEnd(9)} ${printable(value)}\n`).join(''));
  });
device
  .command('revoke <id>')
  .description(
    'shut a board out: its certificate counts no more and its session ends; a new enrolment lets it in again',
  )
  .action(async (id: string) => {
    const gone = await client().post<DeviceView>(`/devices/${encodeURIComponent(id)}/revoke`);
    print(gone, () => `${gone.id} revoked ${gone.revokedAt}\n`);
  });

const release = program.command('release').description('model releases');
release
  .command('list')
  .description('all releases, newest first')
  .action(async () => {
    const { items } = await client().get<{ items: Release[] }>('/releases');
    const row = (one: Release) => [
      label(one),
      one.precision,
      String(one.bytes),
      one.state,
      one.certifiedBy ?? '-',
      one.digest.slice(0, 12),
    ];
    print({ items }, () => table(['RELEASE', 'PRECISION', 'BYTES', 'STATE', 'CERTIFIED BY', 'DIGEST'], items.map(row)));
  });
release
  .command('upload <file>')
  .description('upload a .vigie package; the same package again is no error')
  .action(async (file: string) => {
    const made = await client().upload<Release>('/releases', file);
    print(made, () => `${label(made)} ${made.precision} ${made.state} ${made.digest}\n`);
  });
release
  .command('withdraw <name> <version>')
  .description('take a release out of the targets: boards keep it, none installs it any more')
  .action(async (name: string, version: string) => {
    const gone = await client().post<Release>(
      `/releases/${encodeURIComponent(name)}/${encodeURIComponent(version)}/withdraw`,
    );
    print(gone, () => `${label(gone)} ${gone.state}\n`);
  });

program
  .command('rollout')
  .description('bring releases to boards')
  .command('assign <release> <device...>')
  .description('give boards a release, written name@version')
  .option('--retry', 'also where this release failed before')
  .option('--shadow <seconds>', 'let it only look beside the live model for so long, and report')
  .option('--transport <name>', 'mqtt, https or auto')
  .option('--jitter <seconds>', 'each board waits a part of this before its download')
  .action(async (target: string, devices: string[], options: AssignOptions) => {
    const at = target.indexOf('@');
    if (at <= 0)
      throw new ApiError(
        'RELEASE_INVALID',
        `${target}: is no release; write name@version, such as person-detector@1.0.0`,
      );
    const { retry, shadow, transport, jitter } = options;
    const body = {
      ...{ devices, name: target.slice(0, at), version: target.slice(at + 1) },
      ...(retry ? { retry } : {}),
      ...(shadow === undefined ? {} : { shadow: { seconds: Number(shadow) } }),
      ...(transport === undefined && jitter === undefined
        ? {}
        : {
            delivery: {
              ...(transport === undefined ? {} : { transport }),
              ...(jitter === undefined ? {} : { jitterSeconds: Number(jitter) }),
            },
          }),
    };
    const done = await client().post<{ assignments: { deviceId: string; generation: number }[] }>('/assignments', body);
    print(done, () =>
      table(
        ['DEVICE', 'GENERATION'],
        done.assignments.map((one) => [one.deviceId, String(one.generation)]),
      ),
    );
  });

program
  .command('event')
  .description('what boards saw')
  .command('list')
  .description('newest first')
  .option('--device <id>', 'of one board')
  .option('--limit <n>', 'at most so many', '50')
  .action(async ({ device: id, limit }: { device?: string; limit: string }) => {
    const query = new URLSearchParams({ limit, ...(id === undefined ? {} : { device: id }) });
    const { items } = await client().get<{ items: (Event & { deviceId: string })[] }>(`/events?${query}`);
    const row = (one: Event & { deviceId: string }) => [
      one.at,
      one.deviceId,
      one.type,
      one.label,
      one.score.toFixed(2),
      one.id,
    ];
    print({ items }, () => table(['AT', 'DEVICE', 'TYPE', 'LABEL', 'SCORE', 'EVENT'], items.map(row)));
  });

program
  .command('token')
  .description('enrolment tokens')
  .command('create')
  .description('a single-use token for one board, 24 hours')
  .action(async () => {
    const made = await client().post<{ token: string; expiresAt: string }>('/enrollment-tokens');
    print(made, () => `${made.token}\n`);
  });

program.parseAsync().catch((error: unknown) => {
  if (!(error instanceof ApiError)) throw error;
  process.stderr.write(`vigie: ${error.code}: ${printable(error.message)}\n`);
  process.exitCode = 1;
});
