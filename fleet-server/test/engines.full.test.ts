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
  'objects.test.ts',
  'open-connections.test.ts',
  'openapi.test.ts',
  'registry-policy.full.test.ts',
  'registry.test.ts',
  'retention.test.ts',
  'rollouts.full.test.ts',
  'sessions.test.ts',
  'shared-trust.test.ts',
  'stream.test.ts',
  'upload-refusals.test.ts',
  'uploads.full.test.ts',
];

/** Why the others do not run a second time. */
const LEFT_OUT: Record<string, string> = {
  'activity-order.full.test.ts': 'runs on PostgreSQL anyway; the embedded database has one writer',
