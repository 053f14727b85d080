import { afterAll, beforeAll, describe } from 'vitest';
import { gatesStory } from './gates-story.js';
import { PostgresCluster } from './postgres-cluster.js';
import { initialised } from './server-fixture.js';

describe('gates on PostgreSQL', () => {
  let cluster: PostgresCluster;
  beforeAll(async () => {
    cluster = await PostgresCluster.start();
  });
  afterAll(() => cluster?.stop());
  gatesStory(async () => {
    const changes = { database: { url: await cluster.createDatabase() } };
    return { ...(await initialised(changes)), changes };
  });
});
