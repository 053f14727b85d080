import { liveBackup } from '../backup-wiring.js';
import { EmbeddedVacuum } from '../io/database/embedded-vacuum.js';
import { FleetFiguresRepository } from '../io/database/fleet-figures-repository.js';
import { backupRoutes } from '../routes/backup-routes.js';
import { metricsRoutes } from '../routes/metrics-routes.js';
import { Counter, counter, exposition, gauge, Histogram, type MetricFamily } from '../services/metrics.js';
import type { Core, Feature } from './feature-wiring.js';

/** Counts of the fleet are read from the database so often at the most, ms. */
const FRESH_MS = 5000;
const VACUUM_EVERY_MS = 30_000;

export interface Operations extends Feature {
  /** Called after each run of a duty. */
  observeDuty(duty: string, seconds: number, ok: boolean): void;
}

/** What operators of the server itself need: backups and figures, and an embedded database that looks after itself. */
export function wireOperations(core: Core, version: string): Operations {
  const http = new Histogram('vigie_http_request_duration_seconds', 'Answers of the API by route.');
  const duties = new Histogram('vigie_duty_duration_seconds', 'Runs of duties of this process.');
  const failures = new Counter('vigie_duty_failures_total', 'Runs of duties that failed.');
  const figures = new FleetFiguresRepository(core.database);
  const vacuum = new EmbeddedVacuum(core.database);
  let fleet: { at: number; families: Promise<MetricFamily[]> } | null = null;
  const readFleet = () => {
    if (fleet === null || performance.now() - fleet.at > FRESH_MS) {
      const families = fleetFamilies(figures);
      fleet = { at: performance.now(), families };
      families.catch(() => {
        fleet = null;
      });
    }
    return fleet.families;
  };
  const text = async () =>
    exposition([
      gauge('vigie_build_info', 'Version of the server.', [{ labels: { version }, value: 1 }]),
      ...(await readFleet()),
      gauge('vigie_database_ping_seconds', 'A round trip to the database.', [
        { labels: {}, value: await figures.ping() },
      ]),
      ...ownFamilies(core),
      ...[http.family(), duties.family(), failures.family()],
      ...processFamilies(),
    ]);
  return {
    routes: (app) => {
      backupRoutes(app, (telemetry) => liveBackup(core, version, telemetry));
      app.get('/overview', { schema: { summary: 'Counts of boards, rollouts and alerts' } }, async () => ({
        version,
        ...(await figures.read()),
      }));
    },
    open: (app) =>
      metricsRoutes(app, {
        exposition: text,
        operator: (token) => core.access.operator(token),
        observe: (labels, seconds) => http.observe(labels, seconds),
      }),
    duties:
      core.database.engine === 'pglite'
        ? [{ name: 'vacuum', everyMs: VACUUM_EVERY_MS, run: async () => void (await vacuum.round()) }]
        : [],
    observeDuty: (duty, seconds, ok) => {
      duties.observe({ duty }, seconds);
      if (!ok) failures.add({ duty });
    },
  };
}

async function fleetFamilies(repository: FleetFiguresRepository): Promise<MetricFamily[]> {
  const { devices, releases, rollouts, alerts, deliveriesPending } = await repository.read();
  return [
    gauge(
      'vigie_devices',
      'Boards by presence and hardware class.',
      devices.map(({ state, hardwareClass, count }) => ({
        labels: { state, hardware_class: hardwareClass },
        value: count,
      })),
    ),
    gauge(
      'vigie_devices_by_release',
      'Boards by the release that they run; beyond the 50 commonest: other.',
      releases.map(({ release, count }) => ({ labels: { release }, value: count })),
    ),
    gauge(
      'vigie_rollouts',
      'Rollouts by state.',
      rollouts.map(({ state, count }) => ({ labels: { state }, value: count })),
    ),
    gauge(
      'vigie_alerts_raised',
      'Raised alerts by severity.',
      alerts.map(({ severity, count }) => ({ labels: { severity }, value: count })),
    ),
    gauge('vigie_deliveries_pending', 'Deliveries to channels that wait.', [{ labels: {}, value: deliveriesPending }]),
  ];
}

function ownFamilies({ broker, ingest }: Core): MetricFamily[] {
  const { waitingBytes, ...counts } = ingest.counters;
  return [
    gauge('vigie_broker_connections', 'Connections of the broker that this process sees.', [
      { labels: {}, value: broker.connections },
    ]),
    counter(
      'vigie_ingest_total',
      'Messages of boards by what became of them, and batches.',
      Object.entries(counts).map(([result, value]) => ({ labels: { result }, value })),
    ),
    gauge('vigie_ingest_waiting_bytes', 'Messages of boards that wait for the database.', [
      { labels: {}, value: waitingBytes },
    ]),
  ];
}

/** Names as Prometheus' client libraries have them. */
function processFamilies(): MetricFamily[] {
  const { user, system } = process.cpuUsage();
  const { rss, heapUsed } = process.memoryUsage();
  return [
    counter('process_cpu_seconds_total', 'Processor time of this process.', [
      { labels: {}, value: (user + system) / 1e6 },
    ]),
    gauge('process_resident_memory_bytes', 'Resident memory of this process.', [{ labels: {}, value: rss }]),
    gauge('process_start_time_seconds', 'When it started, Unix time.', [
      { labels: {}, value: Math.round(Date.now() / 1000 - process.uptime()) },
    ]),
    gauge('nodejs_heap_size_used_bytes', 'Heap of this process that is used.', [{ labels: {}, value: heapUsed }]),
  ];
}
