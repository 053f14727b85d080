import type { BenchmarkResult } from '@vigie/protocol';
import { FleetClient, FleetRequestError } from '../clients/fleet-client.js';
import { describePlatform } from '../measure/platform.js';
import type { FleetServer } from '../rig/fleet-server.js';
import type { PublishedRelease } from '../rig/publish.js';
import { runModel } from '../run-command.js';
import type { Narrator } from './narrator.js';
import type { Check, DemoReport } from './report.js';

/** Enough for a p95, and done in a moment. */
const SAMPLES = 40;
const WARMUP = 5;
const GATE = 'demo';
/** The answer to an assignment of what no gate has let through. */
const NOT_RELEASED = 'RELEASE_NOT_RELEASED';

/** What a gate said of one release; verdicts as the API shows them. */
interface Judged {
  release: { state: string };
  verdicts: { policy: string; verdict: string; classes: { rules: { require: string; why: string }[] }[] }[];
  certified: string[];
}

interface Certificate {
  hardwareClass: string;
  policy: string;
  revoked: object | null;
}

/** The gate did not let a release through; the message says why. */
export class GateRefusedError extends Error {
  override readonly name = 'GateRefusedError';
}

/**
 * The demo's gate: figures of this machine's kind certify the demo's board. Its limits are loose, the machine may be small and
 * busy. Times under emulation never count in a gate: there it asks for the memory alone.
 */
function demoGate(hardwareClass: string): { rules: { require: string }[] } {
  const { arch, emulated } = describePlatform();
  const times = [
    { require: 'fps > 3', minSamples: SAMPLES },
    { require: 'latencyMs.p95 < 400 ms', minSamples: SAMPLES },
  ];
  const policy = {
    schema: 'vigie.gate/1',
    name: GATE,
    description: 'what the board of the demo needs',
    certifies: [{ evidence: { arch: [arch] }, hardwareClasses: [hardwareClass] }],
    rules: [...(emulated ? [] : times), { require: 'memoryBytes < 1 GiB' }],
  };
  return policy;
}

/** Tries to give the board a release that nothing has measured. Returns the reason of the refusal, for people. */
async function refusalOf(fleet: FleetClient, deviceId: string, { name, version }: PublishedRelease): Promise<string> {
  try {
    await fleet.assign(deviceId, name, version);
  } catch (error) {
    if (!(error instanceof FleetRequestError) || error.code !== NOT_RELEASED) throw error;
    return error.detail;
  }
  throw new GateRefusedError(`${name}@${version} was assigned, and nothing had measured it`);
}

/** Measures a release on this machine, and posts the figures as a CI job does: with a token that may do only that. */
async function measure(ci: FleetClient, directory: string): Promise<{ result: BenchmarkResult; judged: Judged }> {
  const result = await runModel(directory, { warmup: WARMUP, samples: SAMPLES, quiet: true });
  return { result, judged: await ci.post<Judged>('/benchmarks', result) };
}

function figures({ metrics }: BenchmarkResult): string {
  return `${metrics.fps.toFixed(1)} frames/s, p95 ${metrics['latencyMs.p95'].toFixed(1)} ms`;
}

/**
 * From uploads to certificates, by the API alone: an unmeasured release is refused, a gate is made, each release is measured
 * and judged, and the server certifies what passes. What an earlier run on the same data released is passed over.
 * Throws GateRefusedError.
 */
export async function certifyReleases(
  { client, httpUrl }: FleetServer,
  deviceId: string,
  releases: readonly { release: PublishedRelease; directory: string }[],
  narrator: Narrator,
  report: DemoReport,
): Promise<Check[]> {
  const unmeasured = releases.filter(({ release }) => release.state !== 'released');
  if (unmeasured.length === 0) {
    narrator.done('released by an earlier run');
    return [];
  }
  const checks: Check[] = [];
  const refused = new Map<PublishedRelease, string>();
  for (const { release } of unmeasured) {
    const reason = await refusalOf(client, deviceId, release);
    refused.set(release, reason);
    const readable = reason.includes(`${release.name}@${release.version}`) && reason.includes('measured');
    checks.push({ name: `unmeasured ${release.precision} refused, and why`, ok: readable, value: readable });
  }
  narrator.done('uploaded, and refused for the board: no certificate');
  for (const reason of refused.values()) narrator.note(reason);
  const { hardwareClass } = await client.device(deviceId);
  const policy = demoGate(hardwareClass);
  await client.put(`/gates/${GATE}`, { policy, note: 'made by the demo' });
  narrator.note(`gate "${GATE}": ${policy.rules.map(({ require }) => require).join(', ')}`);
  const { token } = await client.post<{ token: string }>('/tokens', { name: 'demo ci', role: 'ci', days: 1 });
  const ci = new FleetClient(httpUrl, token);
  for (const { release, directory } of unmeasured) {
    const { result, judged } = await measure(ci, directory);
    const { name, version, precision } = release;
    const verdict = judged.verdicts.find(({ policy }) => policy === GATE);
    const why = verdict?.classes.flatMap(({ rules }) => rules.map((rule) => rule.why)).join('; ') ?? 'no verdict';
    if (verdict?.verdict !== 'pass') throw new GateRefusedError(`${name} ${version} (${precision}): ${why}`);
    const { items } = await client.get<{ items: Certificate[] }>(`/releases/${name}/${version}/certificates`);
    const held = items.find((one) => one.hardwareClass === hardwareClass && one.revoked === null);
    checks.push({
      name: `${precision} passed the gate`,
      ok: judged.release.state === 'released',
      value: figures(result),
    });
    checks.push({
      name: `${precision} certified for ${hardwareClass}`,
      ok: held?.policy === GATE,
      value: held?.policy ?? null,
    });
    report.gates.push({
      release: `${name}@${version}`,
      policy: GATE,
      refused: refused.get(release) ?? '',
      verdict: verdict.verdict,
      metrics: result.metrics,
    });
    narrator.done(
      `${name} ${version} (${precision}) measured: ${figures(result)}; the gate passes, certificate for ${hardwareClass}`,
    );
  }
  return checks;
}
