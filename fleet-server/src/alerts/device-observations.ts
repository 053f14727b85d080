import { type SelectableDevice, selects } from '../devices/selector.js';
import type { Observation } from './decide.js';
import type { Rule, RuleKind } from './rule.js';

/** What rules look at of one board. */
export interface DeviceFacts extends SelectableDevice {
  online: boolean;
  /** Last birth or will; null: never seen. */
  presenceAt: Date | null;
  /** Error of its last install. */
  error: { code: string; message: string } | null;
  /** Newest telemetry. */
  telemetry: {
    receivedAt: Date;
    fps: number;
    diskFreeBytes: number | null;
    temperatureC: number | null;
  } | null;
  /** Mean of its frames per second over the hours before; null: too few. */
  usualFps: number | null;
  /** Do its scores or box sizes differ from the baseline of what it runs? Null: not compared. */
  drifting: boolean | null;
  /** End of its newest certificate; null: none is known. */
  certificateEndsAt: Date | null;
}

/** Telemetry older than this says nothing of now. */
const FRESH_MS = 10 * 60_000;
const DAY_MS = 86_400_000;
const MIB = 1024 * 1024;

type Watch = (
  device: DeviceFacts,
  threshold: number,
  now: Date,
) => Pick<Observation, 'state' | 'text' | 'detail'> & {
  since?: Date | null;
};

const UNKNOWN = { state: 'unknown', text: '', detail: {} } as const;
const judge = (firing: boolean, text: string, detail: Record<string, unknown>) =>
  ({ state: firing ? 'firing' : 'fine', text, detail }) as const;

/** A watch over fresh telemetry; `figure` is null when the board does not measure it. */
const overTelemetry =
  (
    watch: (
      telemetry: NonNullable<DeviceFacts['telemetry']>,
      threshold: number,
      device: DeviceFacts,
    ) => ReturnType<Watch>,
  ): Watch =>
  (device, threshold, now) => {
    const { telemetry } = device;
    if (telemetry === null || now.getTime() - telemetry.receivedAt.getTime() > FRESH_MS) return UNKNOWN;
    return watch(telemetry, threshold, device);
  };

const WATCHES: Partial<Record<RuleKind, Watch>> = {
  'device-lost': ({ id, online, presenceAt }) => {
    // A board that never came was never lost.
    if (presenceAt === null) return UNKNOWN;
    const at = presenceAt.toISOString();
    if (online) return judge(false, `${id} is back since ${at}`, { presenceAt: at });
    return { ...judge(true, `${id} is offline since ${at}`, { presenceAt: at }), since: presenceAt };
  },
  'device-failed': ({ id, error }) =>
    error === null
      ? judge(false, `${id} reports no error any more`, {})
      : judge(true, `${id} reports ${error.code}: ${error.message}`, { code: error.code }),
  'fps-low': overTelemetry(({ fps }, threshold, { id }) =>
    judge(fps < threshold, `${id} detects on ${fps.toFixed(1)} frames/s (threshold ${threshold})`, { fps, threshold }),
  ),
  'fps-drop': overTelemetry(({ fps }, threshold, { id, usualFps }) => {
    if (usualFps === null || usualFps <= 0) return UNKNOWN;
    const text = `${id} detects on ${fps.toFixed(1)} frames/s, usually on ${usualFps.toFixed(1)}`;
    return judge(fps < usualFps * (1 - threshold), text, { fps, usualFps, threshold });
  }),
  'disk-low': overTelemetry(({ diskFreeBytes }, threshold, { id }) => {
    if (diskFreeBytes === null) return UNKNOWN;
    const text = `${id} has ${Math.floor(diskFreeBytes / MIB)} MiB of its disk left (threshold ${threshold})`;
    return judge(diskFreeBytes < threshold * MIB, text, { diskFreeBytes, thresholdMiB: threshold });
  }),
  'temperature-high': overTelemetry(({ temperatureC }, threshold, { id }) =>
    temperatureC === null
      ? UNKNOWN
      : judge(temperatureC > threshold, `${id} has ${temperatureC.toFixed(1)} °C (threshold ${threshold})`, {
          temperatureC,
          threshold,
        }),
  ),
  drift: ({ id, drifting, running }) =>
    drifting === null
      ? UNKNOWN
      : judge(drifting, `${id} sees other scores or box sizes than ${running} did at first`, { release: running }),
  'certificate-expiry': ({ id, certificateEndsAt }, threshold, now) => {
    if (certificateEndsAt === null) return UNKNOWN;
    const endsAt = certificateEndsAt.toISOString();
    const firing = certificateEndsAt.getTime() - now.getTime() < threshold * DAY_MS;
    return judge(firing, `the certificate of ${id} ends at ${endsAt}`, { endsAt });
  },
};

export function isAboutDevices(kind: RuleKind): boolean {
  return WATCHES[kind] !== undefined;
}

/** What must be read of each board for rules of these kinds, beside its own row. */
export function wantedBy(kinds: readonly RuleKind[]) {
  const any = (...names: RuleKind[]) => names.some((name) => kinds.includes(name));
  return {
    telemetry: any('fps-low', 'fps-drop', 'disk-low', 'temperature-high'),
    usualFps: any('fps-drop'),
    drifting: any('drift'),
    certificates: any('certificate-expiry'),
  };
}

/** What a rule sees of the fleet. `devices`: every board that may come in. */
export function observeDevices(
  rule: Pick<Rule, 'kind' | 'selector' | 'threshold'>,
  devices: readonly DeviceFacts[],
  now: Date,
): Observation[] {
  const watch = WATCHES[rule.kind];
  if (watch === undefined) return [];
  return devices
    .filter((device) => selects(rule.selector, device))
    .map((device) => ({ subject: device.id, since: null, ...watch(device, rule.threshold ?? 0, now) }));
}
