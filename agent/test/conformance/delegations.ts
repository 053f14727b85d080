import { newKey, TufSimulator } from '../tuf-simulator.js';
import { FIRST, type Row } from './case.js';

interface Edge {
  from: string;
  to: string;
  paths?: string[];
  terminating?: boolean;
}

/** `targets>A A>C! B>D:*.py` : `!` ends the search there, `:` names other paths than `*`. */
function graph(text: string): Edge[] {
  return text.split(' ').map((edge) => {
    const [, from, to, end, path] = /^(\w+)>(\w+)(!?)(?::(\S+))?$/.exec(edge) ?? [];
    return { from, to, terminating: end === '!', ...(path === undefined ? {} : { paths: path.split(',') }) };
  });
}

function withGraph(edges: Edge[], files: Record<string, [role: string, content: string]> = {}): TufSimulator {
  const repo = new TufSimulator();
  for (const { from, to, ...options } of edges) repo.delegate(from, to, options);
  for (const [path, [role, content]] of Object.entries(files)) repo.add(path, content, role);
  repo.bump(...[...repo.roles.keys()].filter((role) => role !== 'targets'));
  repo.update();
  return repo;
}

const TOP = ['2.root.json', 'timestamp.json', '2.snapshot.json', '2.targets.json'];
const visits = (roles: string) => [...TOP, ...[...roles].map((role) => `1.${role}.json`)];

/** Name in the suite → delegations, and the roles that are visited for a path that nobody lists. */
const GRAPHS: Record<string, [edges: string, visited: string]> = {
  'basic-delegation': ['targets>A', 'A'],
  'single-level-delegations': ['targets>A targets>B', 'AB'],
  'two-level-delegations': ['targets>A targets>B B>C', 'ABC'],
  'two-level-test-DFS-order-of-traversal': ['targets>A targets>B A>C A>D', 'ACDB'],
  'three-level-delegation-test-DFS-order-of-traversal': ['targets>A targets>B A>C C>D', 'ACDB'],
  'two-level-terminating-ignores-all-but-roles-descendants': ['targets>A targets>B A>C! A>D', 'AC'],
  'three-level-terminating-ignores-all-but-roles-descendants': ['targets>A targets>B A>C! C>D', 'ACD'],
  'two-level-ignores-all-branches-not-matching-paths': ['targets>A:*.py targets>B A>C', 'B'],
  'three-level-ignores-all-branches-not-matching-paths': ['targets>A targets>B A>C:*.py C>D', 'AB'],
  'cyclic-graph': ['targets>A targets>B B>C C>D D>B', 'ABCD'],
  'two-roles-delegating-to-a-third': ['targets>A targets>B B>C A>C', 'ACB'],
  'two-roles-delegating-to-a-third-different-paths': ['targets>A targets>B B>C A>C:*.py', 'ABC'],
};

const TREE = 'targets>A:*.doc,*.md targets>B:releases/*/* B>C:releases/x/* B>D:releases/y/*.zip';
const FILES: Record<string, [string, string]> = {
  targetfile: ['targets', 'targetfile content'],
  'README.md': ['A', 'README by A'],
  'releases/x/x_v1': ['C', 'x release by C'],
  'releases/y/y_v1.zip': ['D', 'y release by D'],
  'releases/z/z_v1.zip': ['D', 'z release by D'],
};
const SEARCHES: Record<string, [path: string, found: boolean, visited: string]> = {
  'no delegations': ['targetfile', true, ''],
  'targetpath matches wildcard': ['README.md', true, 'A'],
  'targetpath with separators x': ['releases/x/x_v1', true, 'BC'],
  'targetpath with separators y': ['releases/y/y_v1.zip', true, 'BD'],
  'targetpath is not delegated by all roles in the chain': ['releases/z/z_v1.zip', false, 'B'],
};

export const DELEGATIONS: Row[] = [
  ...Object.entries(GRAPHS).map(
    ([name, [edges, visited]]): Row => ({
      name: `search order: ${name}`,
      suite: `test_updater_delegation_graphs.py::test_graph_traversal[${name}]`,
      repository: () => withGraph(graph(edges)),
      steps: [{ get: 'missingpath', expected: 'TARGET_UNKNOWN', asked: visits(visited) }],
    }),
  ),
  ...Object.entries(SEARCHES).map(
    ([name, [path, found, visited]]): Row => ({
      name: `search: ${name}`,
      suite: `test_updater_delegation_graphs.py::test_targetfile_search[${name}]`,
      repository: () => withGraph(graph(TREE), FILES),
      steps: [{ get: path, expected: found ? 'ok' : 'TARGET_UNKNOWN', asked: visits(visited) }],
    }),
  ),
  {
    name: 'no more than four delegated roles are visited',
    suite: 'own: TUF 1.0.31, 5.6.7.1 (bound on the search)',
    repository: () =>
      withGraph(graph('targets>A A>B B>C C>D D>E'), { deep: ['E', 'too deep'], found: ['D', 'deep enough'] }),
    steps: [
      { get: 'found', expected: 'ok', asked: visits('ABCD') },
      { get: 'deep', expected: 'TARGET_UNKNOWN', trusted: { D: 1, E: null } },
    ],
  },
  {
    name: 'a delegated role without a signature',
    suite: 'own: TUF 1.0.31, 5.6.3',
    repository: () => withGraph(graph('targets>A'), { file: ['A', 'content'] }),
    steps: [
      { get: 'file', expected: 'ok', trusted: { A: 1 } },
      {
        before(repo) {
          repo.signers.set('A', []);
          repo.bump('A', 'snapshot', 'timestamp');
        },
        get: 'file',
        expected: 'TUF_SIGNATURE_INVALID',
        trusted: { A: 1 },
      },
    ],
  },
  {
    name: 'a delegated role signed by the key of another role',
    suite: 'own: TUF 1.0.31, 5.6.3',
    repository: () => withGraph(graph('targets>A targets>B:other'), { file: ['A', 'content'] }),
    steps: [
      {
        before(repo) {
          repo.signers.set('A', repo.signers.get('B') ?? []);
          repo.bump('A', 'snapshot', 'timestamp');
        },
        get: 'file',
        expected: 'TUF_SIGNATURE_INVALID',
        trusted: { A: null },
      },
    ],
  },
  {
    name: 'a delegated role below its threshold, and at it',
    suite: 'own: TUF 1.0.31, 5.6.3',
    repository: () => withGraph(graph('targets>A'), { file: ['A', 'content'] }),
    steps: [
      {
        before(repo) {
          const second = repo.addKey('A');
          const [role] = repo.targets.delegations?.roles ?? [];
          role.threshold = 2;
          repo.signers.set(
            'A',
            (repo.signers.get('A') ?? []).filter((key) => key !== second),
          );
          repo.bump('A');
          repo.update();
          repo.signers.get('A')?.push(second);
        },
        get: 'file',
        expected: 'TUF_SIGNATURE_INVALID',
        trusted: { A: null },
      },
      { before: (repo) => repo.bump('A', 'snapshot', 'timestamp'), get: 'file', expected: 'ok', trusted: { A: 3 } },
    ],
  },
  {
    name: 'a delegated role gets another key, and the old one signs on',
    suite: 'own: TUF 1.0.31, 6.1 (key revocation)',
    repository: () => withGraph(graph('targets>A'), { file: ['A', 'content'] }),
    steps: [
      { get: 'file', expected: 'ok' },
      {
        before(repo) {
          const [role] = repo.targets.delegations?.roles ?? [];
          role.keyids = [];
          repo.listKey('A', newKey());
          repo.bump('A');
          repo.update();
        },
        get: 'file',
        expected: 'TUF_KEY_REVOKED',
        trusted: { targets: 3, A: 1 },
      },
    ],
  },
  {
    name: 'a role that nobody delegates to',
    suite: 'own: TUF 1.0.31, 5.6.7',
    steps: [
      {
        before(repo) {
          repo.snapshot.meta['stranger.json'] = { version: 1 };
          repo.bump('snapshot', 'timestamp');
          const key = newKey();
          repo.signers.set('stranger', [key]);
          repo.files.set('1.stranger.json', repo.seal('stranger', { ...repo.targets, version: 1 }));
        },
        get: 'file',
        expected: 'TARGET_UNKNOWN',
        asked: ['2.root.json', 'timestamp.json', '2.snapshot.json', '1.targets.json'],
      },
    ],
  },
  {
    name: 'a delegated role that snapshot does not list (mix-and-match)',
    suite: 'own: TUF 1.0.31, 5.6.1',
    repository: () => withGraph(graph('targets>A'), { file: ['A', 'content'] }),
    steps: [
      {
        before(repo) {
          delete repo.snapshot.meta['A.json'];
          repo.bump('snapshot', 'timestamp');
        },
        get: 'file',
        expected: 'TUF_MISMATCH',
        trusted: { A: null },
      },
    ],
  },
  {
    name: 'a path outside of what was delegated',
    suite: 'own: TUF 1.0.31, 5.6.7',
    repository: () => withGraph(graph('targets>A:certificates/*'), { 'releases/x.json': ['A', 'not its business'] }),
    steps: [{ get: 'releases/x.json', expected: 'TARGET_UNKNOWN', asked: visits('') }],
  },
  ...['?', '#', '/delegatedrole', '../delegatedrole', '..', '%2e%2e', 'ключ'].map(
    (role): Row => ({
      name: `a role named ${JSON.stringify(role)} is one quoted name, on the line and on the disk`,
      suite: `test_quoting_issues.py::test_unusual_role_name[${role}]`,
      steps: [
        {
          before(repo) {
            repo.delegate('targets', role);
            repo.bump(role);
            repo.update();
          },
          get: 'nonexistent target',
          expected: 'TARGET_UNKNOWN',
          asked: [...TOP, `1.${encodeURIComponent(role)}.json`],
          trusted: { [role]: 1 },
        },
      ],
    }),
  ),
  ...['a b?c#d', '../../etc/passwd', '/absolute', 'ünïcode/☃', 'a//b', '.'].map(
    (path): Row => ({
      name: `a target named ${JSON.stringify(path)} is fetched by its hash`,
      suite: 'own: unusual target names',
      steps: [
        {
          before(repo) {
            repo.add(path, 'content');
            repo.update();
          },
          get: path,
          expected: 'ok',
        },
      ],
    }),
  ),
  {
    name: 'a target of an object’s own properties is unknown',
    suite: 'own: JavaScript’s prototypes',
    steps: [
      { ...FIRST, get: 'constructor', expected: 'TARGET_UNKNOWN' },
      { get: '__proto__', expected: 'TARGET_UNKNOWN' },
    ],
  },
];
