import { execFile } from 'node:child_process';
import { mkdir, statfs } from 'node:fs/promises';
import { connect } from 'node:net';
import { promisify } from 'node:util';
import { openPackageDirectory } from '@vigie/models/package/package';
import { Command } from 'commander';
import { type Config, ConfigError, loadConfig } from './config.js';
import { parseSource, redactCredentials, SourceError } from './io/ffmpeg-arguments.js';
import { FleetHttps, FleetHttpsError } from './io/fleet-https.js';
import { readIdentity, validityOf } from './io/identity.js';
import { InferenceChildFactory } from './io/inference-child.js';
import { probeSource } from './io/source-probe.js';

interface Check {
  name: string;
  ok: boolean;
  /** What was found; for a failure also what to do. */
  detail: string;
}

const MIN_FREE_BYTES = 200 * 1024 * 1024;
const CONNECT_TIMEOUT_MS = 5000;
/** No board is older than this program: an earlier clock is a clock that was never set. */
const EARLIEST = Date.UTC(2026, 0, 1);
const run = promisify(execFile);

/** `vigie-agent doctor`: looks at everything a board needs and says what to do. Exit 0 when all is well, 1 otherwise. */
export function doctorCommand(): Command {
  return new Command('doctor')
    .description('check ffmpeg, camera, clock, disk, broker and model, and say what to do')
    .option('--config <file>', 'YAML configuration')
    .option('--data <directory>', 'data directory; overrides data.directory')
    .option('--json', 'print one JSON document', false)
    .action(async (flags: { config?: string; data?: string; json: boolean }) => {
      const checks = await examine(flags);
      const ok = checks.every((check) => check.ok);
      if (flags.json) process.stdout.write(`${JSON.stringify({ ok, checks })}\n`);
      else
        for (const { name, ok, detail } of checks)
          process.stdout.write(`${ok ? 'ok  ' : 'FAIL'} ${name.padEnd(8)} ${detail}\n`);
      process.exitCode = ok ? 0 : 1;
    });
}

async function examine(flags: { config?: string; data?: string }): Promise<Check[]> {
  let config: Config;
  try {
    config = loadConfig(flags.config ?? null, process.env);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return [bad('config', error.message), await checkFfmpeg(), checkClock()];
  }
  if (flags.data !== undefined) config.data.directory = flags.data;
  const checks = [
    checkFfmpeg(),
    checkCamera(config),
    checkClock(),
    checkDisk(config),
    checkBroker(config),
    checkCertificate(config),
    checkModel(config),
  ];
  return [good('config', 'accepted'), ...(await Promise.all(checks))];
}

async function checkFfmpeg(): Promise<Check> {
  try {
    const { stdout } = await run('ffmpeg', ['-version'], { timeout: CONNECT_TIMEOUT_MS });
    const version = /^ffmpeg version (\S+)/.exec(stdout)?.[1] ?? 'unknown';
    const major = Number(/^n?(\d+)\./.exec(version)?.[1] ?? Number.NaN);
    const minor = Number(/^n?\d+\.(\d+)/.exec(version)?.[1] ?? Number.NaN);
    if (major < 5 || (major === 5 && minor < 1)) return bad('ffmpeg', `${version} is too old; install 5.1 or newer`);
    return good('ffmpeg', version);
  } catch {
    return bad('ffmpeg', 'cannot be run; install it: apt-get install ffmpeg');
  }
}

async function checkCamera(config: Config): Promise<Check> {
  try {
    const source = parseSource(config.source.url);
    const probe = await probeSource(source);
    const name = redactCredentials(source.url);
    if (!probe.ok) {
      const hint =
        source.kind === 'v4l2'
          ? 'is it plugged in, and is this user in the group video?'
          : source.kind === 'file'
            ? 'does the file exist, and is it a video?'
            : 'is the address right, and the camera reachable from here?';
      return bad('camera', `${name}: ${probe.reason}; ${hint}`);
    }
    const { width, height, fps } = probe.info;
    return good(
      'camera',
      `${name}: ${width} × ${height}, ${fps === null ? 'rate unknown' : `${fps.toFixed(1)} frames/s`}`,
    );
  } catch (error) {
    if (error instanceof SourceError) return bad('camera', error.message);
    throw error;
  }
}

function checkClock(): Check {
  const now = new Date();
  if (now.getTime() >= EARLIEST) return good('clock', now.toISOString());
  return bad(
    'clock',
    `${now.toISOString()} cannot be right; start time synchronisation (timedatectl set-ntp true) or set the clock`,
  );
}

async function checkDisk({ data }: Config): Promise<Check> {
  try {
    await mkdir(data.directory, { recursive: true, mode: 0o700 });
    const { bavail, bsize } = await statfs(data.directory);
    const free = bavail * bsize;
    const text = `${data.directory}: ${Math.round(free / 1024 / 1024)} MiB free`;
    return free >= MIN_FREE_BYTES
      ? good('disk', text)
      : bad('disk', `${text}; two models and a journal want ${MIN_FREE_BYTES / 1024 / 1024}`);
  } catch (error) {
    return bad(
      'disk',
      `${data.directory}: ${(error as NodeJS.ErrnoException).code}; choose a folder this user may write`,
    );
  }
}

async function checkBroker({ data }: Config): Promise<Check> {
  try {
    const identity = await readIdentity(data.directory);
    if (identity === null)
      return good('broker', 'not enrolled: the board runs alone (vigie-agent enroll joins a fleet)');
    const url = new URL(identity.mqtt.url);
    await reach(url.hostname.replace(/^\[|\]$/g, ''), Number(url.port || 8883));
    return good('broker', `${identity.deviceId}: ${url.host} answers`);
  } catch (error) {
    return bad('broker', `${(error as Error).message}; is the server running and reachable from here?`);
  }
}

/** Is the certificate in its time by this clock, and does the server take it? */
async function checkCertificate({ data }: Config): Promise<Check> {
  const name = 'identity';
  try {
    const identity = await readIdentity(data.directory);
    if (identity === null) return good(name, 'not enrolled');
    const { from, to } = validityOf(identity.certificate);
    const [begin, end] = [new Date(from).toISOString(), new Date(to).toISOString()];
    if (Date.now() < from) return bad(name, `the certificate is valid from ${begin}; the clock is behind: set it`);
    if (Date.now() > to) {
      const wayOut =
        'if the clock is right, the board renews it within the grace time of the server, or enrol it again';
      return bad(name, `the certificate expired at ${end}; ${wayOut}`);
    }
    const https = new FleetHttps({
      baseUrl: identity.https.url,
      credentials: () => identity,
      idleMs: CONNECT_TIMEOUT_MS,
    });
    const { status, body } = await https.request('/api/v1/identity').finally(() => https.close());
    if (status === 200) return good(name, `${identity.deviceId}: certificate until ${end}, taken by the server`);
    return bad(name, `the server refuses the certificate (status ${status}): ${body.toString().slice(0, 300)}`);
  } catch (error) {
    if (error instanceof FleetHttpsError) return bad(name, `${error.message} (${error.code})`);
    return bad(name, (error as Error).message);
  }
}

function reach(host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, timeout: CONNECT_TIMEOUT_MS });
    const end = (error?: Error) => {
      socket.destroy();
      if (error === undefined) resolve();
      else reject(error);
    };
    socket.once('connect', () => end());
    socket.once('timeout', () => end(new Error(`${host}:${port} does not answer`)));
    socket.once('error', (error: NodeJS.ErrnoException) =>
      end(new Error(`${host}:${port}: ${error.code ?? error.message}`)),
    );
  });
}

/** Loads the model in a child, as the agent does: a runtime that crashes on this processor shows here. */
async function checkModel({ model }: Config): Promise<Check> {
  if (model.directory === '')
    return good('model', 'none configured: the bundled one, or the first release of the fleet');
  try {
    const { manifest } = await openPackageDirectory(model.directory);
    const factory = new InferenceChildFactory({
      threads: model.threads,
      frameTimeoutMs: model.timeoutSeconds * 1000,
      loadTimeoutMs: 60_000,
      floorRatio: 1,
      log: { debug() {}, warn() {} },
    });
    const detector = await factory.spawn(model.directory, 'live');
    await detector.close();
    return good('model', `${manifest.name} ${manifest.version} ${manifest.model.precision}, ${detector.runtime}`);
  } catch (error) {
    return bad('model', `${model.directory}: ${(error as Error).message}`);
  }
}

function good(name: string, detail: string): Check {
  return { name, ok: true, detail };
}

function bad(name: string, detail: string): Check {
  return { name, ok: false, detail };
}
