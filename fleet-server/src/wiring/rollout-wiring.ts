import type { Certificate } from '@vigie/protocol';
import { dropDecisions } from '../io/database/decision-retention.js';
import { RolloutFigures } from '../io/database/rollout-figures.js';
import { RolloutHistory } from '../io/database/rollout-history.js';
import { RolloutRepository } from '../io/database/rollout-repository.js';
import { RolloutViews } from '../io/database/rollout-views.js';
import { RolloutWriter } from '../io/database/rollout-writer.js';
import { rolloutRoutes } from '../routes/rollout-routes.js';
import { RolloutAdvance } from '../services/rollout-advance.js';
import { RolloutLabels } from '../services/rollout-labels.js';
import { RolloutRehearsal } from '../services/rollout-rehearsal.js';
import { RolloutService } from '../services/rollout-service.js';
import type { Core, Feature } from './feature-wiring.js';

const DUTY = 'rollouts';
/** Reports come in storms: one step takes in all that gathered, ms. */
const GATHER_MS = 200;
const PRUNE_MS = 3_600_000;
const DAY_MS = 86_400_000;

/** Releases to boards, in waves. `certificates`: what boards are told by TUF, the default policy's and the gates'. */
export function wireRollouts(core: Core, certificates: () => Promise<Certificate[]>): Feature {
  const { config, database, activity, publication, releases, labels, now, log } = core;
  const repository = new RolloutRepository(database);
  const writer = new RolloutWriter(database, activity);
  const fleet = database.ranked('fleet');
  const certified = async (digest: string) => {
    const certificate = (await certificates()).find((one) => one.digest === digest);
    return certificate?.grants.map(({ hardwareClass }) => hardwareClass) ?? [];
  };
  const advance = new RolloutAdvance(
    new RolloutRepository(fleet),
    new RolloutWriter(fleet, activity),
    new RolloutFigures(fleet),
    publication,
    certified,
    new RolloutLabels(releases, labels),
    now,
    log,
    () => core.wake(DUTY),
  );
  let waiting: NodeJS.Timeout | null = null;
  const wake = () => {
    advance.lookAtBoards();
    waiting ??= setTimeout(() => {
      waiting = null;
      core.wake(DUTY);
    }, GATHER_MS);
    waiting.unref();
  };
  const service = new RolloutService(repository, writer, releases, labels, publication, certified, now, () => {
    advance.lookForNewcomers();
    advance.lookAtBoards();
    core.wake(DUTY);
  });
  core.ingest.onReported(wake);
  const rehearsal = new RolloutRehearsal(service, new RolloutHistory(database), now);
  const views = new RolloutViews(database);
  return {
    routes: (app) => rolloutRoutes(app, { rollouts: service, rehearsal, repository, views }),
    duties: [
      { name: DUTY, everyMs: 1000, run: () => advance.run() },
      {
        name: 'rollout-retention',
        everyMs: PRUNE_MS,
        run: () => dropDecisions(database, new Date(now().getTime() - config.retention.decisionDays * DAY_MS)),
      },
    ],
    close: async () => {
      if (waiting !== null) clearTimeout(waiting);
    },
  };
}
