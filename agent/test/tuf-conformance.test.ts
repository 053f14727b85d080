import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BASIC } from './conformance/basic.js';
import { play } from './conformance/case.js';
import { DELEGATIONS } from './conformance/delegations.js';
import { EXPIRATION } from './conformance/expiration.js';
import { KEYS } from './conformance/keys.js';
import { NOT_APPLICABLE } from './conformance/not-applicable.js';
import { ROLLBACK } from './conformance/rollback.js';
import { ROTATION } from './conformance/rotation.js';
import { SHAPES } from './conformance/shapes.js';
import { TARGETS } from './conformance/targets.js';
import { MetadataServer } from './metadata-server.js';

/**
 * The cases of the public TUF conformance suite (github.com/theupdateframework/tuf-conformance) as a table of ours, played
 * against the board's client over real HTTP with a repository simulator of our own; rows that the suite does not have say
 * `own`. Every row names the code that a board reports.
 */
const TABLE = { BASIC, EXPIRATION, ROLLBACK, ROTATION, KEYS, DELEGATIONS, TARGETS, SHAPES };

let server: MetadataServer;

beforeAll(async () => {
  server = await MetadataServer.start();
});

afterAll(() => server.close());

for (const [part, rows] of Object.entries(TABLE)) {
  describe(part, () => {
    test.each(rows.map((row) => [row.name, row] as const))('%s', async (_name, row) => {
      await play(row, server);
    });
  });
}

describe('cases that do not apply', () => {
  test.each(NOT_APPLICABLE.map(({ suite, reason }) => [suite, reason]))('%s: %s', (_suite, reason) => {
    expect(reason).not.toBe('');
  });
});

test('every row has a name of its own', () => {
  const names = Object.values(TABLE).flatMap((rows) => rows.map(({ name }) => name));
  expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
});
