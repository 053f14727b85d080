import { deviceId } from './seed-statements.js';

const cursorOf = (list: string, key: unknown) => Buffer.from(JSON.stringify([list, key])).toString('base64url');
const minutesAgo = (minutes: number) => new Date(Date.now() - minutes * 60_000).toISOString();

/** What people and their pages ask for, by name: the path under the API. `rollout`: the one that runs. */
export function questionsOf(devices: number, release: string, rollout: () => number): Record<string, () => string> {
  const some = () => deviceId(Math.floor(Math.random() * devices));
  const running = encodeURIComponent(release);
  return {
    'devices.first': () => '/devices?limit=100',
    'devices.deep': () => `/devices?limit=100&cursor=${cursorOf('devices', some())}`,
    'devices.largest': () => '/devices?limit=1000',
    'devices.tag': () => '/devices?limit=100&tag=site-7',
    'devices.group': () => '/devices?limit=100&group=site-3',
    'devices.class': () => '/devices?limit=100&class=rpi5-8g',
    'devices.running': () => `/devices?limit=100&running=${running}`,
    'devices.desired': () => `/devices?limit=100&desired=${running}`,
    'devices.phase': () => '/devices?limit=100&phase=FAILED',
    'devices.error': () => '/devices?limit=100&error=TRIAL_TOO_SLOW',
    'devices.offline': () => '/devices?limit=100&online=false',
    'devices.notInSync': () => '/devices?limit=100&inSync=false',
    'devices.pending': () => '/devices?limit=100&pending=true',
    'devices.revoked': () => '/devices?limit=100&revoked=true',
    'devices.lab': () => '/devices?limit=100&role=lab',
    'devices.prefix': () => `/devices?limit=100&prefix=${some().slice(0, -2)}`,
    'devices.name': () => '/devices?limit=100&prefix=yard%2042',
    'counts.all': () => '/devices/counts',
    'counts.filtered': () => '/devices/counts?tag=site-7&online=true',
    'device.page': () => `/devices/${some()}`,
    'device.minutes': () => `/devices/${some()}/telemetry`,
    'device.hours': () => `/devices/${some()}/telemetry?resolution=hour&from=${minutesAgo(24 * 60)}`,
    'telemetry.releases': () => '/telemetry/releases',
    'rollouts.list': () => '/rollouts',
    'rollout.page': () => `/rollouts/${rollout()}`,
    'rollout.devices': () => `/rollouts/${rollout()}/devices?limit=100`,
    'rollout.devices.deep': () =>
      `/rollouts/${rollout()}/devices?limit=100&cursor=${cursorOf('rollout-devices', Math.floor(devices / 2))}`,
    'rollout.devices.state': () => `/rollouts/${rollout()}/devices?limit=100&state=failed`,
    'rollout.decisions': () => `/rollouts/${rollout()}/decisions?limit=50`,
    'events.newest': () => '/events?limit=100',
    'events.lastHour': () => `/events?limit=100&from=${minutesAgo(60)}`,
    'events.earlier': () => `/events?limit=100&from=${minutesAgo(13 * 60)}&to=${minutesAgo(12 * 60)}`,
    'events.device': () => `/events?limit=100&device=${some()}`,
    'events.label': () => '/events?limit=100&label=dog',
    'events.rule': () => '/events?limit=100&rule=gate',
    'events.noRule': () => '/events?limit=100&rule=nobody',
    'events.type': () => '/events?limit=100&type=end',
    overview: () => '/overview',
    alerts: () => '/alerts',
    drift: () => '/drift',
    releases: () => '/releases',
  };
}
