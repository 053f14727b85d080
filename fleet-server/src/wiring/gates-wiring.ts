import { BenchmarkRepository } from '../io/database/benchmark-repository.js';
import { GateRepository } from '../io/database/gate-repository.js';
import type { GrantRepository } from '../io/database/grant-repository.js';
import { benchmarkRoutes } from '../routes/benchmark-routes.js';
import { gateRoutes } from '../routes/gate-routes.js';
import { verdictRoutes } from '../routes/gate-verdict-routes.js';
import { BenchmarkIntake } from '../services/benchmark-intake.js';
import { ChampionFollower } from '../services/champion-follower.js';
import { GateJudge } from '../services/gate-judge.js';
import { GateOverrides } from '../services/gate-overrides.js';
import type { Core, Feature } from './feature-wiring.js';
import type { RegistryFeature } from './registry-wiring.js';

/** How often marked releases are looked for; what comes by the API is judged at once. */
const EVERY_MS = 5000;
const DUTY = 'gates';

/** Benchmark results, the gates that judge them, and the certificates that follow. */
export function wireGates(
  core: Core,
  grants: GrantRepository,
  { life, promotions, comparisons }: RegistryFeature,
): Feature {
  const { config, database, releases, publication, activity, now, wake } = core;
  const benchmarks = new BenchmarkRepository(database);
  const gates = new GateRepository(database);
  comparisons.follow({ resultsOf: async (id) => (await benchmarks.evidence(id)).map(({ result }) => result) });
  const champion = (name: string) => promotions.champion(name);
  const { release, secondPerson, resultsPerRelease } = config.gates;
  const judge = new GateJudge({ benchmarks, gates, grants, releases, life, publication, champion, release, now });
  const overrides = new GateOverrides(grants, gates, judge, publication, secondPerson, now);
  const intake = new BenchmarkIntake(benchmarks, releases, resultsPerRelease, now);
  const follower = new ChampionFollower(activity, gates);
  const run = async () => {
    await follower.follow();
    await judge.judgeMarked();
  };
  return {
    routes: (app) => {
      benchmarkRoutes(app, { benchmarks, releases, intake, judge });
      gateRoutes(app, { gates, judge, changed: () => wake(DUTY), now });
      verdictRoutes(app, { gates, grants, releases, judge, overrides, life });
    },
    duties: [{ name: DUTY, everyMs: EVERY_MS, run }],
  };
}
