import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { repository } from './server-fixture.js';

/** What operators and boards see, whatever the server stands on. */
const ON_BOTH = [
  'access.test.ts',
  'access-cli.full.test.ts',
  'api.test.ts',
  'audit-transactions.test.ts',
  'audit.test.ts',
  'device-messages.test.ts',
  'devices.test.ts',
  'fleet-flow.test.ts',
  'fleet-size.full.test.ts',
  'garbage.full.test.ts',
  'gate-cli.full.test.ts',
  'gates.test.ts',
  'histories.test.ts',
  'identity.test.ts',
  'ingest.test.ts',
  'label-contract.full.test.ts',
  'live-gates.full.test.ts',
  'metrics.test.ts',
  'notifications.full.test.ts',
  'objects.full.test.ts',
  'open-connections.full.test.ts',
  'openapi.test.ts',
  'registry-policy.full.test.ts',
  'registry.test.ts',
  'retention.test.ts',
  'rollout-labels.full.test.ts',
  'rollout-promises.full.test.ts',
  'rollouts.full.test.ts',
  'sessions.test.ts',
  'shared-trust.test.ts',
  'stopped-alerts.full.test.ts',
  'stream.test.ts',
  'upload-refusals.full.test.ts',
  'uploads.full.test.ts',
];

/** Why the others do not run a second time. */
const LEFT_OUT: Record<string, string> = {
  'rollout-deadlines.test.ts': 'has no engine: the pure rules of rollouts',
  'slow-statements.test.ts': 'is about the embedded database',
  'accuracy-gate.full.test.ts': 'is about evaluation and the command line; gates.test.ts judges results on both',
  'activity-order.full.test.ts': 'runs on PostgreSQL anyway; the embedded database has one writer',
  'backup.full.test.ts':
    'restores into an embedded server; it passes with a backup taken on PostgreSQL, and takes a minute',
  'broker-thread.test.ts': 'is about the built-in broker',
  'channels.full.test.ts': 'kills a process over and over; what it kills is the same on both, and it takes a minute',
  'database-away.full.test.ts': 'runs on PostgreSQL anyway',
  'embedded-vacuum.test.ts': 'is about the embedded database; PostgreSQL has a daemon for it',
  'engines.full.test.ts': 'is this one',
  'fuzz.full.test.ts': 'takes longer than all others together',
  'gates.full.test.ts': 'runs on PostgreSQL anyway',
  'migrate.full.test.ts': 'runs on both anyway',
  'mlflow.full.test.ts': 'is about MLflow; what it keeps is what registry.test.ts keeps',
  'mosquitto.full.test.ts': 'runs on Mosquitto anyway',
  'operator-cli.full.test.ts': 'is about the command line; it reaches the server by the API alone',
  'postgres.full.test.ts': 'runs on PostgreSQL anyway',
  'process.full.test.ts': 'is about the embedded data folder, its lock and its command line',
  'process-kills.full.test.ts':
    'is about the embedded database under SIGKILL; replicas.full.test.ts does it on PostgreSQL',
  'release-cli.full.test.ts': 'is about the command line; it reaches the server by the API alone',
  'replicas.full.test.ts': 'runs on PostgreSQL and Mosquitto anyway',
  'rollout-kills.full.test.ts': 'replicas.full.test.ts kills the leader of a rollout on PostgreSQL',
  'rollout-properties.test.ts': 'has no engine: the pure rules of rollouts',
  's3.test.ts': 'is about the object store',
  'server-certificate.test.ts': 'is about files of the data folder',
  'trusted-proxies.full.test.ts': 'is about addresses of requests; it has no engine',
  'tuf-http.test.ts': 'has no engine: metadata over HTTP',
  'tuf-offline.full.test.ts': 'is about the command line and keys in files',
  'tuf-wire.test.ts': 'has no engine: a forged wire',
};

it('every test of the server runs on both engines, or says why not', () => {
  const all = readdirSync(join(repository, 'fleet-server/test')).filter((name) => name.endsWith('.test.ts'));
  expect([...ON_BOTH, ...Object.keys(LEFT_OUT)].sort()).toEqual(all.sort());
});

it('the tests of the server hold on PostgreSQL and Mosquitto', async () => {
  const files = ON_BOTH.map((name) => `fleet-server/test/${name}`);
  const child = spawn(process.execPath, ['node_modules/vitest/vitest.mjs', 'run', '--reporter=default', ...files], {
    cwd: repository,
    // What fails in there fails here: this test is tried once more as a whole.
    env: {
      ...process.env,
      VIGIE_TEST_ENGINES: 'postgres-mosquitto',
      VIGIE_FULL: '1',
      VIGIE_TEST_RETRY: '',
      NO_COLOR: '1',
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes) => (output += bytes));
  const [code] = await once(child, 'close');
  expect(code, output).toBe(0);
  expect(output).toMatch(new RegExp(`Test Files +${files.length} passed`));
}, 1_500_000);
