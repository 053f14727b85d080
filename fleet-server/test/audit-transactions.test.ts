import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { AuditRepository } from '@vigie/fleet-server/io/database/audit-repository';
import { AuditedDatabase } from '@vigie/fleet-server/io/database/audited-database';
import type { Engine } from '@vigie/fleet-server/io/database/database';
import { rawQuery } from '@vigie/fleet-server/io/database/raw-query';
import { TokenRepository } from '@vigie/fleet-server/io/database/token-repository';
import type { RunningServer } from '@vigie/fleet-server/main';
import { hashSecret } from '@vigie/fleet-server/secrets';
import type { AuditRecord } from '@vigie/fleet-server/services/audit-entry';
import { byTheWay, type Deed, doing } from '@vigie/fleet-server/services/deed';
import { type SQL, sql } from 'drizzle-orm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  Api,
  dataFolder,
  dropTemplate,
  holdAnswersToSchemas,
  openTestDatabase,
  start,
  temporaryFolder,
  zooPackage,
} from './server-fixture.js';

holdAnswersToSchemas();

let directory: string;
let server: RunningServer;
let admin: Api;
/** Whose rows the database refuses: what the row stands in must fall with it. */
let breaker: Api;
let release: { name: string; version: string };

beforeAll(async () => {
  const made = await dataFolder();
  directory = made.dataDirectory;
  const secret = 'b'.repeat(43);
  const database = await openTestDatabase(directory);
  await new TokenRepository(database).addApiToken(hashSecret(secret), 'breaker', new Date());
  await database.drizzle.execute(sql`create function break_rows() returns trigger language plpgsql as $$ begin
    if new.entry->>'actor' = 'breaker' and new.entry->>'outcome' = 'done' then raise exception 'broken by the test'; end if;
    return new; end $$`);
  await database.drizzle.execute(
    sql`create trigger break_rows before insert on audit for each row execute function break_rows()`,
  );
  await database.close();
  server = await start(directory, { access: { scryptLogN: 12 } });
  admin = new Api(server.httpUrl, made.adminToken);
  breaker = new Api(server.httpUrl, secret);
  await admin.enroll('board-1');
  const { bytes, name, version } = await zooPackage('int8');
  release = { name, version };
  const uploaded = await admin.call('POST', '/api/v1/releases', bytes);
  expect([uploaded.status, uploaded.body.state]).toEqual([201, 'released']);
});

afterAll(async () => {
  await server?.close();
  await rm(join(directory, '..'), { recursive: true, force: true });
  await dropTemplate();
});

const rows = async () => (await admin.call('GET', '/api/v1/audit?limit=1000')).body.items as AuditRecord[];
const read = async (path: string) => {
  const { status, body } = await admin.call('GET', `/api/v1${path}`);
  // When a token was used is no change of this test's.
  return JSON.stringify([status, body]).replace(/"usedAt":"[^"]*"/g, '');
};

interface Change {
  area: string;
  method: string;
  path: () => string;
  body?: () => unknown;
  status: number;
  /** Where it can be seen. */
  seen: () => string;
}

const releasePath = () => `/releases/${release.name}/${release.version}`;
const GATE = {
  schema: 'vigie.gate/1',
  name: 'edge',
  certifies: [{ evidence: { arch: ['arm64'] }, hardwareClasses: ['rpi5-8g'] }],
  rules: [{ require: 'fps > 10' }],
};
const WAVES = [{ name: 'all', size: { share: 1 } }];
const reason = 'because the test says so';
/** Id of what was made last. */
let newest: unknown;

const CHANGES: Change[] = [
  {
    ...{ area: 'users', method: 'POST', path: () => '/users', status: 201, seen: () => '/users' },
    body: () => ({ name: 'gina', role: 'viewer', password: 'a long enough phrase' }),
  },
  {
    ...{ area: 'tokens', method: 'POST', path: () => '/tokens', status: 201, seen: () => '/tokens' },
    body: () => ({ name: 'job', role: 'ci' }),
  },
  {
    ...{ area: 'enrolment tokens', method: 'POST', path: () => '/enrollment-tokens', status: 201 },
    seen: () => '/enrollment-tokens',
  },
  {
    ...{ area: 'devices', method: 'PATCH', path: () => '/devices/board-1', status: 200 },
    ...{ body: () => ({ name: 'the one at the gate' }), seen: () => '/devices/board-1' },
  },
  {
    ...{ area: 'groups', method: 'PUT', path: () => '/groups/gates', status: 200, seen: () => '/groups' },
    body: () => ({ selector: { tags: ['gate'] } }),
  },
  {
    ...{ area: 'configurations', method: 'PUT', path: () => '/configuration', status: 200 },
    ...{ body: () => ({ configuration: {}, note: 'none' }), seen: () => '/configuration/versions' },
  },
  {
    ...{ area: 'commands', method: 'POST', path: () => '/devices/board-1/commands', status: 202 },
    ...{ body: () => ({ command: { kind: 'identify' } }), seen: () => '/devices/board-1/commands' },
  },
  {
    ...{ area: 'alert rules', method: 'PUT', path: () => '/alert-rules/lost', status: 200 },
    ...{ body: () => ({ kind: 'device-lost', minutes: 10 }), seen: () => '/alert-rules' },
  },
  {
    ...{ area: 'releases', method: 'PUT', path: () => `${releasePath()}/notes`, status: 200 },
    ...{ body: () => ({ notes: 'quantised' }), seen: releasePath },
  },
  {
    ...{ area: 'promotions', method: 'POST', path: () => '/promotions', status: 201, seen: () => '/promotions' },
    body: () => ({ ...release, alias: 'champion', reason }),
  },
  {
    ...{ area: 'gates', method: 'PUT', path: () => '/gates/edge', status: 201, seen: () => '/gates' },
    body: () => ({ policy: GATE }),
  },
  {
    ...{ area: 'overrides', method: 'POST', path: () => `${releasePath()}/overrides`, status: 201 },
    ...{ body: () => ({ hardwareClasses: ['rpi5-8g'], reason }), seen: () => '/gate-overrides' },
  },
  {
    ...{ area: 'rollouts', method: 'POST', path: () => '/rollouts', status: 201, seen: () => '/rollouts' },
    body: () => ({ release, selector: { devices: ['board-1'] }, waves: WAVES }),
  },
  {
    ...{ area: 'rollout commands', method: 'POST', path: () => `/rollouts/${newest}/abort`, status: 200 },
    ...{ body: () => ({ reason }), seen: () => `/rollouts/${newest}/decisions` },
  },
  {
    ...{ area: 'assignments', method: 'POST', path: () => '/assignments', status: 202 },
    ...{ body: () => ({ devices: ['board-1'], ...release }), seen: () => '/devices/board-1' },
  },
  {
    ...{ area: 'withdrawals', method: 'POST', path: () => `${releasePath()}/withdraw`, status: 200 },
    ...{ body: () => ({ reason }), seen: releasePath },
  },
];

describe('a change and its row of the audit log', () => {
  it.each(CHANGES)('stand or fall together: $area', async ({ method, path, body, status, seen }) => {
    const before = await read(seen());
    const logged = (await rows()).length;
    const broken = await breaker.call(method, `/api/v1${path()}`, body?.());
    expect([broken.status, broken.body.code]).toEqual([500, 'INTERNAL']);
    expect(await read(seen())).toBe(before);
    const failure = (await rows()).slice(0, -logged);
    expect(failure.map(({ entry }) => [entry.actor, entry.outcome, entry.status])).toEqual([
      ['breaker', 'failed', 500],
    ]);

    const done = await admin.call(method, `/api/v1${path()}`, body?.());
    expect([done.status, done.body]).toMatchObject([status, {}]);
    expect(await read(seen())).not.toBe(before);
    newest = done.body.id ?? newest;
    const added = (await rows()).slice(0, -logged - 1);
    expect(added.map(({ entry }) => [entry.actor, entry.outcome])).toEqual([['first admin', 'done']]);
    expect([status, null]).toContain(added[0].entry.status);
  });

  it('is refused, and only the refusal is in the log', async () => {
    const logged = (await rows()).length;
    const refused = [
      await admin.call('POST', '/api/v1/users', { name: 'gina', role: 'viewer', password: 'a long enough phrase' }),
      await admin.call('DELETE', '/api/v1/users/nobody'),
      await admin.call('PATCH', '/api/v1/devices/nobody', { name: 'x' }),
      await admin.call('POST', '/api/v1/devices/board-1/approve'),
      await admin.call('DELETE', '/api/v1/groups/none'),
      await admin.call('POST', `/api/v1/rollouts/${newest}/pause`),
      await admin.call('POST', '/api/v1/gate-overrides/1/approve', {}),
      await admin.call('POST', '/api/v1/promotions', { ...release, alias: 'champion', reason }),
      await admin.call('PUT', '/api/v1/gates/edge', { policy: GATE, ifVersion: 7 }),
    ];
    expect(refused.map(({ status }) => status >= 400 && status < 500)).toEqual(refused.map(() => true));
    const added = (await rows()).slice(0, -logged);
    expect(added.map(({ entry }) => entry.outcome)).toEqual(refused.map(() => 'refused'));
    expect(added.every(({ entry }) => !('changedInRow' in entry.details))).toBe(true);
    expect((await admin.call('GET', '/api/v1/audit/verify')).body).toMatchObject({ ok: true });
  });
});

describe('a database that notes who changes it', () => {
  let folder: string;
  let inner: Engine;
  let database: AuditedDatabase;
  const log = () => new AuditRepository(inner).after(0, 100);
  const query = (statement: SQL) => rawQuery(inner, statement);
  const deed = (note: Deed['note']): Deed => ({
    note,
    entry: () => ({
      ...{ at: new Date().toISOString(), actor: 'gina', role: 'admin', credential: null, address: null },
      ...{ action: 'test', subject: 'x', outcome: 'done', status: null, details: {} },
    }),
  });
  const user = (name: string) =>
    sql`insert into users (name, role, password_hash, created_at, created_by, password_changed_at)
      values (${name}, 'viewer', '', now(), '', now()) on conflict do nothing`;

  beforeAll(async () => {
    folder = await temporaryFolder();
    inner = (await openTestDatabase(folder)) as Engine;
    database = new AuditedDatabase(inner);
  });

  afterAll(async () => {
    await inner?.close();
    await rm(folder, { recursive: true, force: true });
  });

  it('writes one row for a request, with the first change, and none for what changes nothing', async () => {
    const note: Deed['note'] = {};
    await doing(deed(note), async () => {
      await database.drizzle.execute(sql`select name from users where name = 'nobody' for update`);
      await database.drizzle.execute(sql`update users set role = 'admin' where name = 'nobody'`);
      await database.transaction([query(sql`select 'update'`), query(sql`delete from users where name = 'nobody'`)]);
      expect(await log()).toEqual([]);
      await expect(database.transaction([query(user('ann')), query(sql`select 1 / 0`)])).rejects.toThrow();
      expect([await log(), note.written]).toEqual([[], undefined]);
      await Promise.all([database.drizzle.execute(user('ann')), database.transaction([query(user('bob'))])]);
      await database.drizzle.execute(user('cid'));
    });
    expect([(await log()).length, note]).toEqual([1, { riding: false, written: true, row: 1 }]);
  });

  it('writes none for what a request only sets off, and none without a request', async () => {
    const note: Deed['note'] = {};
    await doing(deed(note), () => byTheWay(() => database.drizzle.execute(user('dan'))));
    await database.transaction([query(user('eve'))]);
    await doing(deed(note), async () => await database.drizzle.execute(user('eve')));
    expect([(await log()).length, note.written]).toEqual([1, undefined]);
    await doing(deed(note), async () => await database.drizzle.execute(user('fay')));
    expect([(await log()).length, note.row]).toEqual([2, 2]);
  });
});
