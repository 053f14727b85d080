import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { AuditRepository } from '@vigie/fleet-server/io/database/audit-repository';
import type { Database } from '@vigie/fleet-server/io/database/database';
import { rawQuery } from '@vigie/fleet-server/io/database/raw-query';
import type { RunningServer } from '@vigie/fleet-server/main';
import { type AuditRecord, ChainCheck } from '@vigie/fleet-server/services/audit-entry';
import { AuditLog } from '@vigie/fleet-server/services/audit-log';
import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Api, dataFolder, dropTemplate, openTestDatabase, start, temporaryFolder } from './server-fixture.js';

describe('the audit log of a server', () => {
  let directory: string;
  let server: RunningServer;
  let admin: Api;

  beforeAll(async () => {
    const made = await dataFolder();
    directory = made.dataDirectory;
    server = await start(directory, { access: { scryptLogN: 12, loginFailures: 100 } });
    admin = new Api(server.httpUrl, made.adminToken);
  });

  afterAll(async () => {
    await server?.close();
    await rm(join(directory, '..'), { recursive: true, force: true });
    await dropTemplate();
  });

  const rows = async (query = '') =>
    (await admin.call('GET', `/api/v1/audit?limit=1000${query}`)).body.items as AuditRecord[];
  const newest = async () => (await rows())[0].entry;

  it('says who did what to whom, with which outcome, and keeps no secret', async () => {
    const password = 'a long enough phrase';
    await admin.call('POST', '/api/v1/users', { name: 'gina', role: 'viewer', password });
    expect(await newest()).toMatchObject({
      ...{ actor: 'first admin', role: 'admin', action: 'POST /api/v1/users', subject: 'gina', outcome: 'done' },
      ...{ status: 201, address: '127.0.0.1', details: { role: 'viewer' } },
    });
    const { body } = await admin.call('POST', '/api/v1/tokens', { name: 'reader', role: 'viewer' });
    expect(await newest()).toMatchObject({ subject: `token:${body.id}`, details: { role: 'viewer', days: 365 } });
    const reader = new Api(server.httpUrl, body.token);
    expect((await reader.call('POST', '/api/v1/devices/board-7/revoke')).status).toBe(403);
    expect(await newest()).toMatchObject({
      ...{ actor: 'reader', action: 'POST /api/v1/devices/:id/revoke', subject: 'board-7', outcome: 'refused' },
      ...{ status: 403, credential: `token:${body.id}` },
    });
    await admin.call('POST', '/api/v1/devices/board-7/revoke');
    expect(await newest()).toMatchObject({ actor: 'first admin', outcome: 'refused', status: 404 });
    await admin.call('POST', '/api/v1/session', { user: 'gina', password: 'wrong password' });
    expect(await newest()).toMatchObject({ actor: 'anonymous', subject: 'gina', outcome: 'refused', status: 401 });
    await admin.call('POST', '/api/v1/session', { user: 'gina', password });
    expect(await newest()).toMatchObject({ actor: 'gina', outcome: 'done' });
    await admin.enroll('board-1');
    expect(await newest()).toMatchObject({ actor: 'anonymous', action: 'POST /api/v1/enroll', subject: 'board-1' });

    const text = JSON.stringify(await rows());
    for (const secret of [password, 'wrong password', admin.token!, reader.token!]) expect(text).not.toContain(secret);
    const before = (await rows()).length;
    await new Api(server.httpUrl, null).call('POST', '/api/v1/users', {});
    await new Api(server.httpUrl, 'x'.repeat(40)).call('POST', '/api/v1/users', {});
    await admin.call('GET', '/api/v1/users');
    expect(await rows()).toHaveLength(before);
  });

  it('is read in pages and by filters, exported, and checked with and without the server', async () => {
    await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        admin.call('POST', '/api/v1/users', { name: `u${index}`, role: 'viewer', password: 'x' }),
      ),
    );
    const all = await rows();
    const paged: AuditRecord[] = [];
    for (let cursor = ''; ; ) {
      const { items, next } = (await admin.call('GET', `/api/v1/audit?limit=7${cursor}`)).body as unknown as {
        items: AuditRecord[];
        next: string | null;
      };
      paged.push(...items);
      if (next === null) break;
      cursor = `&cursor=${next}`;
    }
    expect(paged).toEqual(all);
    expect((await rows('&subject=u3')).map(({ entry }) => entry.subject)).toEqual(['u3']);
    expect((await rows('&outcome=refused')).every(({ entry }) => entry.outcome === 'refused')).toBe(true);
    expect(await rows(`&actor=${encodeURIComponent("' or 1=1 --")}`)).toEqual([]);
    expect((await rows('&before=2020-01-01T00:00:00Z')).length).toBe(0);

    const exported = await fetch(`${server.httpUrl}/api/v1/audit/export`, {
      headers: { authorization: `Bearer ${admin.token}` },
    });
    const lines = (await exported.text())
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as AuditRecord);
    expect(lines).toEqual([...all].reverse());
    const check = new ChainCheck();
    for (const line of lines) check.add(line);
    expect(check.verdict()).toMatchObject({ ok: true, rows: lines.length });
    const verified = (await admin.call('GET', '/api/v1/audit/verify')).body;
    expect(verified).toEqual(check.verdict());
  });

  it('answers a repeated request as the first one was, and does nothing again', async () => {
    const post = (key: string, body: object, token = admin.token!, method = 'POST', path = '/tokens') =>
      fetch(`${server.httpUrl}/api/v1${path}`, {
        method,
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', 'idempotency-key': key },
        body: JSON.stringify(body),
      });
    const key = randomUUID();
    const body = { name: 'once', role: 'ci' };
    const [first, ...others] = await Promise.all([1, 2, 3, 4].map(() => post(key, body)));
    const statuses = [first, ...others].map(({ status }) => status).sort();
    expect(statuses.filter((status) => status === 201).length).toBeGreaterThanOrEqual(1);
    expect(statuses.every((status) => status === 201 || status === 409)).toBe(true);
    const again = await post(key, { role: 'ci', name: 'once' });
    expect([again.status, again.headers.get('idempotency-replayed')]).toEqual([201, 'true']);
    const made = (await again.json()) as { token: string };
    expect((await new Api(server.httpUrl, made.token).call('GET', '/api/v1/session')).status).toBe(200);
    const list = (await admin.call('GET', '/api/v1/tokens')).body.items as { name: string }[];
    expect(list.filter(({ name }) => name === 'once')).toHaveLength(1);

    const other = await post(key, { ...body, role: 'viewer' });
    expect([other.status, ((await other.json()) as { code: string }).code]).toEqual([422, 'IDEMPOTENCY_KEY_REUSED']);
    // The key of somebody else is another key; a refusal is repeated too; a broken request takes no key.
    expect((await post(key, body, made.token)).status).toBe(403);
    const missing = randomUUID();
    for (const replayed of [null, 'true']) {
      const answer = await post(missing, { role: 'ci' }, admin.token!, 'PATCH', '/users/nobody');
      expect([answer.status, answer.headers.get('idempotency-replayed')]).toEqual([404, replayed]);
    }
    const broken = randomUUID();
    expect((await post(broken, {})).status).toBe(400);
    expect((await post(broken, { name: 'twice', role: 'ci' })).status).toBe(201);
    expect((await post('with blank', body)).status).toBe(400);
  });
});

describe('the chain', () => {
  let folder: string;
  let database: Database;
  let repository: AuditRepository;

  beforeAll(async () => {
    folder = await temporaryFolder();
    database = await openTestDatabase(folder);
    repository = new AuditRepository(database);
  });

  afterAll(async () => {
    await database?.close();
    await rm(folder, { recursive: true, force: true });
  });

  const entry = (subject: string) => ({
    ...{ at: new Date().toISOString(), actor: 'é"\\\u2028😀', role: 'admin' as const, credential: null },
    ...{ address: null, action: 'test', subject, outcome: 'done' as const, status: null },
    details: { z: 1, a: [0.1, -1e-7, 1e21, null, true], nested: { b: 'ü', a: '' } },
  });
  const all = () => repository.after(0, 1000);

  it('holds with writers at the same time, and with changes that did not take place', async () => {
    await Promise.all(Array.from({ length: 30 }, (_, index) => repository.append(entry(`s${index}`))));
    await database.transaction([
      rawQuery(database, sql`select 1`),
      repository.insertion(entry('a'), sql`exists (select 1 from users where name = 'nobody')`),
      repository.insertion(entry('b')),
      repository.insertion(entry('c')),
    ]);
    const rows = await all();
    expect(rows.map(({ seq }) => seq)).toEqual(Array.from({ length: 32 }, (_, index) => index + 1));
    const failing = [repository.insertion(entry('never')), rawQuery(database, sql`select 1 / 0`)];
    await expect(database.transaction(failing)).rejects.toThrow();
    expect(await new AuditLog(repository).verify()).toMatchObject({ ok: true, rows: 32 });
  });

  it('cannot be changed by statements', async () => {
    for (const statement of [
      sql`update audit set hash = 'x' where seq = 3`,
      sql`delete from audit where seq = 3`,
      sql`truncate audit`,
    ])
      await expect(database.drizzle.execute(statement)).rejects.toThrow();
    expect(await all()).toHaveLength(32);
  });

  it('shows every change that somebody made in spite of that', async () => {
    const rows = await all();
    const verdict = (changed: AuditRecord[]) => {
      const check = new ChainCheck();
      for (const row of changed) check.add(row);
      return check.verdict();
    };
    expect(verdict(rows)).toMatchObject({ ok: true, rows: 32 });
    const edited = structuredClone(rows);
    edited[4].entry.subject = 'somebody else';
    expect(verdict(edited)).toMatchObject({ ok: false, seq: 5, code: 'HASH_WRONG' });
    expect(verdict(rows.filter(({ seq }) => seq !== 5))).toMatchObject({ ok: false, seq: 6, code: 'SEQUENCE_BROKEN' });
    const swapped = [...rows];
    [swapped[4], swapped[5]] = [swapped[5], swapped[4]];
    expect(verdict(swapped)).toMatchObject({ ok: false, code: 'SEQUENCE_BROKEN' });
    const forged = structuredClone(rows);
    forged[4].previousHash = rows[0].hash;
    expect(verdict(forged)).toMatchObject({ ok: false, seq: 5, code: 'CHAIN_BROKEN' });

    // In the database itself, by its owner: the trigger goes, a row changes, the end is cut off.
    await database.drizzle.execute(sql`alter table audit disable trigger audit_append_only`);
    await database.drizzle.execute(sql`delete from audit where seq = 32`);
    expect(await new AuditLog(repository).verify()).toMatchObject({ ok: false, seq: 32, code: 'SEQUENCE_BROKEN' });
    await database.drizzle.execute(sql`update audit set entry = jsonb_set(entry, '{actor}', '"x"') where seq = 7`);
    expect(await new AuditLog(repository).verify()).toMatchObject({ ok: false, seq: 7, code: 'HASH_WRONG' });
  });
});
