import { PostgresCluster } from './postgres-cluster.js';

/** Before the first test file: the one cluster on which every data folder gets a database. */
export default async function setup(): Promise<() => Promise<void>> {
  const cluster = await PostgresCluster.start();
  process.env.VIGIE_TEST_POSTGRES = cluster.url('');
  return () => cluster.stop();
}
