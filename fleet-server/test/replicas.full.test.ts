import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EngineRig, startMosquitto } from './engine-rig.js';
import { TestBoard } from './rollout-boards.js';
import { type Api, changedPackage, editManifest, type ServerProcess, until } from './server-fixture.js';

const NAME = 'person-detector';
const BOARDS = 24;

interface Health {
  replica: string;
  leader: boolean;
  replicas: string[];
  broker: string;
}

/** Two servers on one PostgreSQL, one Mosquitto and one S3 server; one is killed while a rollout runs. */
describe('replicas of the server', () => {
  let rig: EngineRig;
  const servers = new Map<string, ServerProcess>();
  const boards: TestBoard[] = [];

  const api = (name: string) => rig.api(servers.get(name) as ServerProcess);
  const health = async (name: string) => (await api(name).call('GET', '/health')).body as unknown as Health;
  const connected = (name: string) =>
    until(`${name} to reach the broker`, async () => (await health(name)).broker === 'connected', 60_000);
  const version = async (to: string, on: Api) => {
    const bytes = await changedPackage('int8', (folder) =>
      editManifest(folder, (text) => text.replace(/^version: .*$/m, `version: ${to}`)),
    );
    const answer = await on.call('POST', '/api/v1/releases', bytes);
    expect(answer.status, JSON.stringify(answer.body)).toBe(201);
  };

  beforeAll(async () => {
    rig = await EngineRig.start(startMosquitto);
    const [a, b] = await Promise.all([rig.replica('a'), rig.replica('b')]);
    servers.set('a', a).set('b', b);
    await Promise.all(['a', 'b'].map(connected));
  }, 180_000);

  afterAll(async () => {
    await Promise.all(boards.map((board) => board.end()));
    await rig?.stop();
  });

  it('know each other, and one of them leads', async () => {
    const seen = await until('both to see each other', async () => {
      const both = await Promise.all(['a', 'b'].map(health));
      return both.every(({ replicas }) => replicas.length === 2) ? both : null;
    });
    expect(seen.map(({ replica }) => replica)).toEqual(['a', 'b']);
    expect(seen.filter(({ leader }) => leader).length).toBe(1);
  });

  it('are one server for boards and operators', async () => {
    for (let index = 0; index < BOARDS; index += 1)
      boards.push(await TestBoard.enroll(api(index % 2 === 0 ? 'a' : 'b'), `board-${index}`));
    await Promise.all(boards.map((board) => board.connect()));
    for (const name of ['a', 'b']) {
      await until(`all boards online on ${name}`, async () => {
        const { items } = (await api(name).call('GET', '/api/v1/devices?limit=100')).body as unknown as {
          items: { presence: { online: boolean } }[];
        };
        return items.filter(({ presence }) => presence.online).length === BOARDS;
      });
    }
    await version('20.0.0', api('a'));
    // What one signed, the other one lists and publishes.
    const root = async (name: string) =>
      (await fetch(`${(servers.get(name) as ServerProcess).http}/tuf/timestamp.json`)).text();
    await until('the other one to follow', async () => (await root('a')) === (await root('b')));
    const { body, status } = await api('b').call('POST', '/api/v1/assignments', {
      devices: ['board-0', 'board-1'],
      name: NAME,
      version: '20.0.0',
    });
    expect([status, JSON.stringify(body)]).toEqual([202, expect.any(String)]);
    await until('both boards to run it', () => boards.slice(0, 2).every(({ active }) => active?.version === '20.0.0'));
  }, 120_000);

  it('go on with a rollout when the leader is killed in it: nothing is lost, nothing told twice', async () => {
    await version('21.0.0', api('b'));
    const wave = (name: string, share: number) => ({ name, size: { share }, soakSeconds: 1 });
    const created = await api('a').call('POST', '/api/v1/rollouts?start=true', {
      release: { name: NAME, version: '21.0.0' },
      selector: {},
      waves: [wave('canary', 0.1), wave('quarter', 0.25), wave('half', 0.5), wave('all', 1)],
      concurrency: 3,
      follow: false,
    });
    expect(created.status, JSON.stringify(created.body)).toBe(201);
    const { id } = created.body as unknown as { id: number };
    await until('a quarter of the boards to run it', () => running('21.0.0') >= BOARDS / 4, 30_000);
    const leader = (await health('a')).leader ? 'a' : 'b';
    const other = leader === 'a' ? 'b' : 'a';
    await (servers.get(leader) as ServerProcess).kill('SIGKILL');
    expect(running('21.0.0')).toBeLessThan(BOARDS);
    await until('the rollout to end', async () => (await state(other, id)) === 'succeeded', 120_000);
    expect(running('21.0.0')).toBe(BOARDS);
    expect((await health(other)).leader).toBe(true);
    for (const board of boards) {
      // One generation for each release it was told of, and one word at each.
      expect(board.generation, board.id).toBe(boards.indexOf(board) < 2 ? 2 : 1);
      for (const told of board.told.values()) expect(told.size, board.id).toBe(1);
    }
    const decisions = await rig.cluster.query(
      rig.cluster.newest,
      `select kind, wave, count(*)::int as n from rollout_decisions where rollout_id = ${id} and kind like 'wave-%' group by 1, 2`,
    );
    // Each of the four waves opened once and passed once.
    expect(decisions.length).toBe(8);
    for (const { n, ...decision } of decisions) expect(n, JSON.stringify(decision)).toBe(1);
    servers.set(leader, await rig.replica(leader));
    await connected(leader);
    expect((await health(leader)).replicas).toEqual(['a', 'b']);
  }, 240_000);

  const running = (release: string) => boards.filter(({ active }) => active?.version === release).length;
  const state = async (name: string, id: number) =>
    ((await api(name).call('GET', `/api/v1/rollouts/${id}`)).body as unknown as { state: string }).state;
});
