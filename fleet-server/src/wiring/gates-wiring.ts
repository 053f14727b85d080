import { BenchmarkRepository } from '../io/database/benchmark-repository.js';
import { GateRepository } from '../io/database/gate-repository.js';
import type { GrantRepository } from '../io/database/grant-repository.js';
import type { LabRepository } from '../io/database/lab-repository.js';
import { benchmarkRoutes } from '../routes/benchmark-routes.js';
import { needsRoutes } from '../routes/gate-needs-routes.js';
import { gateRoutes } from '../routes/gate-routes.js';
import { verdictRoutes } from '../routes/gate-verdict-routes.js';
import { labRoutes } from '../routes/lab-routes.js';
import { BenchmarkIntake } from '../services/benchmark-intake.js';
import { ChampionFollower } from '../services/champion-follower.js';
import { GateJudge } from '../services/gate-judge.js';
import { GateOverrides } from '../services/gate-overrides.js';
import { LabBenchmarks } from '../services/lab-benchmarks.js';
import type { Core, Feature } from './feature-wiring.js';
import type { RegistryFeature } from './registry-wiring.js';

/** How often marked releases are looked for; what comes by the API is judged at once. */
const EVERY_MS = 5000;
const DUTY = 'gates';
/** How often answers of lab boards are looked for. */
const LAB_EVERY_MS = 2000;

/** Benchmark results, the gates that judge them, and the certificates that follow. */
export function wireGates(
  core: Core,
  { grants, lab }: { grants: GrantRepository; lab: LabRepository },
  { life, promotions, comparisons }: RegistryFeature,
): Feature {
  const { config, database, releases, publication, activity, tuf, broker, log, now, wake } = core;
  const benchmarks = new BenchmarkRepository(database);
  // Comparisons of releases show what gates judge by.
  comparisons.follow({ resultsOf: async (id) => (await benchmarks.evidence(id)).map(({ result }) => result) });
  const gates = new GateRepository(database);
  const champion = (name: string) => promotions.champion(name);
  const { release, secondPerson, resultsPerRelease, labTimeoutSeconds: timeoutSeconds } = config.gates;
  const judge = new GateJudge({ benchmarks, gates, grants, releases, life, publication, champion, release, now });
  const overrides = new GateOverrides(grants, gates, judge, publication, secondPerson, now);
  const intake = new BenchmarkIntake(benchmarks, releases, resultsPerRelease, now);
  const labBenchmarks = new LabBenchmarks({
    ...{ lab, intake, judge, publication, tuf, broker, timeoutSeconds, log, now },
  });
  const follower = new ChampionFollower(activity, gates);
  const run = async () => {
    await follower.follow();
    await judge.judgeMarked();
  };
  return {
    routes: (app) => {
      benchmarkRoutes(app, { benchmarks, releases, intake, judge });
      gateRoutes(app, { gates, judge, changed: () => wake(DUTY), now });
      labRoutes(app, { lab, benchmarks: labBenchmarks, releases });
      needsRoutes(app, { grants, releases, judge, decide: config.registry.policy === 'gates' });
      verdictRoutes(app, { gates, grants, releases, judge, overrides, life });
    },
    duties: [
      { name: DUTY, everyMs: EVERY_MS, run },
      { name: 'lab-benchmarks', everyMs: LAB_EVERY_MS, run: () => labBenchmarks.collect() },
    ],
  };
}
