import { CommandRepository } from '../io/database/command-repository.js';
import { ConfigurationRepository } from '../io/database/configuration-repository.js';
import { DeviceAdministration } from '../io/database/device-administration.js';
import { DriftRepository } from '../io/database/drift-repository.js';
import { EventRepository } from '../io/database/event-repository.js';
import { GroupRepository } from '../io/database/group-repository.js';
import { PictureRepository } from '../io/database/picture-repository.js';
import { type ModelRow, TelemetryRepository } from '../io/database/telemetry-repository.js';
import { assignmentRoutes } from '../routes/assignment-routes.js';
import { deviceCommandRoutes } from '../routes/device-command-routes.js';
import { deviceConfigurationRoutes } from '../routes/device-configuration-routes.js';
import { deviceGroupRoutes } from '../routes/device-group-routes.js';
import { deviceRoutes } from '../routes/device-routes.js';
import { deviceTelemetryRoutes } from '../routes/device-telemetry-routes.js';
import { eventRoutes } from '../routes/event-routes.js';
import { CommandService } from '../services/commands.js';
import { ConfigurationService } from '../services/configurations.js';
import { CostlyAnswers } from '../services/costly-answers.js';
import { DriftWatch } from '../services/drift-watch.js';
import { HistoryRetention } from '../services/history-retention.js';
import type { Core, Feature } from './feature-wiring.js';

/** Boards as other areas use them. */
export interface DeviceFeature extends Feature {
  commands: CommandService;
  groups: GroupRepository;
  configurations: ConfigurationService;
}

const CONFIGURATIONS = 'device-configurations';

/** Boards: what they are, what they run, what they saw, what they are asked. */
export function wireDevices(core: Core): DeviceFeature {
  const { config, database, devices, received, pictures, revocations, assignments, publication, now, log } = core;
  const groups = new GroupRepository(database);
  const administration = new DeviceAdministration(database);
  const sent = new CommandRepository(database);
  const commands = new CommandService(sent, () => core.broker, core.tuf, now);
  const wanted = new ConfigurationRepository(database);
  const publishDesired = (ids: readonly string[]) => publication.publishDesired(ids);
  const configurations = new ConfigurationService(wanted, devices, groups, publishDesired, now);
  const events = new EventRepository(database);
  const telemetry = new TelemetryRepository(database);
  const sums = new CostlyAnswers<ModelRow[]>();
  const drift = new DriftRepository(database);
  const driftWatch = new DriftWatch(
    new DriftRepository(database.ranked('background')),
    core.activity,
    config.drift,
    now,
  );
  const histories = new PictureRepository(database.ranked('background'));
  const retention = new HistoryRetention(histories, telemetry, sent, pictures, config.retention, now);
  const selectionChanged = () => core.wake(CONFIGURATIONS);
  core.ingest.onBirth((ids) =>
    commands.resend(ids).catch((error: Error) => log.error({ err: error }, 'commands could not be sent again')),
  );
  return {
    ...{ commands, groups, configurations },
    routes: (app) => {
      deviceRoutes(app, {
        ...{ devices, administration, groups, received, pictures, revocations, now },
        ...{ broker: core.broker, selectionChanged, publishDesired },
      });
      deviceGroupRoutes(app, { groups, devices, selectionChanged, now });
      deviceConfigurationRoutes(app, { configurations, repository: wanted });
      deviceCommandRoutes(app, { commands, repository: sent, now });
      deviceTelemetryRoutes(app, { telemetry, sums, drift, now });
      eventRoutes(app, events);
      assignmentRoutes(app, assignments);
    },
    duties: [
      { name: 'telemetry-hours', everyMs: 60_000, run: () => telemetry.rollHours(now()) },
      { name: 'drift', everyMs: 60_000, run: () => driftWatch.round() },
      { name: 'history-retention', everyMs: 3_600_000, run: () => retention.round() },
      {
        name: CONFIGURATIONS,
        everyMs: 60_000,
        run: async () => {
          await configurations.settle();
        },
      },
      {
        name: 'device-presence',
        everyMs: 2000,
        run: () => {
          const at = now();
          return administration.announcePresence(at, new Date(at.getTime() - config.presence.offlineSeconds * 1000));
        },
      },
    ],
  };
}
