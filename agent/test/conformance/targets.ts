import { sha256Of, TufSimulator } from '../tuf-simulator.js';
import { FIRST, type Row, type TopRole } from './case.js';

const PATH = 'target_file.txt';

function withFile(path: string): TufSimulator {
  const repo = new TufSimulator();
  repo.add(path, 'target file contents');
  repo.update();
  return repo;
}

/** Serves other bytes under the hash that a target is listed with. */
function substitute(repo: TufSimulator, path: string, bytes: string): void {
  repo.objects.set(repo.targets.targets[path].hashes.sha256, Buffer.from(bytes));
}

export const TARGETS: Row[] = [
  {
    name: 'a target is fetched',
    suite: 'test_file_download.py::test_client_downloads_expected_file',
    repository: () => withFile(PATH),
    steps: [{ expected: 'ok' }, { get: PATH, expected: 'ok' }],
  },
  {
    name: 'a target in a folder is fetched',
    suite: 'test_file_download.py::test_client_downloads_expected_file_in_sub_dir',
    repository: () => withFile('path/to/a/target_file.txt'),
    steps: [{ get: 'path/to/a/target_file.txt', expected: 'ok' }],
  },
  {
    name: 'a target is replaced by one of the same length',
    suite: 'test_file_download.py::test_repository_substitutes_target_file',
    repository: () => withFile(PATH),
    steps: [
      { get: PATH, expected: 'ok' },
      { before: (repo) => substitute(repo, PATH, 'target file c0ntents'), get: PATH, expected: 'TUF_MISMATCH' },
    ],
  },
  {
    name: 'a target is replaced by a shorter one',
    suite: 'test_file_download.py::test_repository_substitutes_target_file',
    repository: () => withFile(PATH),
    steps: [{ before: (repo) => substitute(repo, PATH, 'short'), get: PATH, expected: 'TUF_MISMATCH' }],
  },
  {
    name: 'a target is replaced by a longer one (endless data)',
    suite: 'test_file_download.py::test_repository_substitutes_target_file',
    repository: () => withFile(PATH),
    steps: [
      {
        before: (repo) => substitute(repo, PATH, `target file contents${'.'.repeat(100_000)}`),
        get: PATH,
        expected: 'TUF_TOO_LARGE',
      },
    ],
  },
  {
    name: 'a target changes again and again, and is replaced each time',
    suite: 'test_file_download.py::test_multiple_changes_to_target',
    repository: () => withFile(PATH),
    steps: Array.from({ length: 11 }).flatMap((_, i): Row['steps'] => [
      {
        before(repo) {
          repo.add(PATH, `modified file contents ${i}`);
          repo.add(`new-target-${i}`, `new file contents ${i}`);
          repo.update();
        },
        get: PATH,
        expected: 'ok',
      },
      { get: `new-target-${i}`, expected: 'ok' },
      {
        before(repo) {
          substitute(repo, PATH, `malicious contents ${i}`);
          repo.update();
        },
        get: PATH,
        expected: i === 100 ? 'ok' : 'TUF_MISMATCH',
      },
    ]),
  },
  {
    name: 'a target that is listed and absent',
    suite: 'own: TUF 1.0.31, 5.7',
    repository: () => withFile(PATH),
    steps: [{ before: (repo) => repo.objects.clear(), get: PATH, expected: 'TUF_UNAVAILABLE' }],
  },
  {
    name: 'a target without a SHA-256',
    suite: 'own: TUF 1.0.31, 4.5',
    repository: () => withFile(PATH),
    steps: [
      {
        before(repo) {
          repo.targets.targets[PATH].hashes = { md5: 'd41d8cd98f00b204e9800998ecf8427e' };
          repo.update();
        },
        get: PATH,
        expected: 'TUF_MISMATCH',
      },
    ],
  },
  {
    name: 'a target over the bound is not asked for',
    suite: 'own: endless data',
    repository: () => withFile(PATH),
    steps: [
      {
        before(repo) {
          repo.targets.targets[PATH].length = 1_000_000_000;
          repo.update();
        },
        get: PATH,
        expected: 'TUF_TOO_LARGE',
      },
    ],
  },
  {
    name: 'a target whose chunks do not make its length',
    suite: 'own: Vigie’s custom.chunks',
    steps: [
      {
        before(repo) {
          repo.add(PATH, 'content', 'targets', { chunks: [{ sha256: sha256Of(Buffer.from('content')), size: 6 }] });
          repo.update();
        },
        get: PATH,
        expected: 'TUF_MISMATCH',
      },
    ],
  },
];

const ROLES: TopRole[] = ['root', 'timestamp', 'snapshot', 'targets'];
/** What each role may take at most, and what a test sends. */
const TOO_LARGE: Record<TopRole, number> = {
  root: 131_073,
  timestamp: 16_385,
  snapshot: 4_194_305,
  targets: 4_194_305,
};

/** A changed role with everything that names it. */
function bumpFor(repo: TufSimulator, role: TopRole): string {
  const order: Record<TopRole, string[]> = {
    root: ['root'],
    timestamp: ['timestamp'],
    snapshot: ['snapshot', 'timestamp'],
    targets: ['targets', 'snapshot', 'timestamp'],
  };
  repo.bump(...order[role]);
  return role === 'timestamp' ? 'timestamp.json' : `2.${role}.json`;
}

function wrong(name: string, change: (repo: TufSimulator, role: TopRole) => void, suite: string): Row[] {
  return ROLES.map((role) => ({
    name: `${role}: ${name}`,
    suite,
    steps: [
      FIRST,
      {
        before(repo) {
          change(repo, role);
          bumpFor(repo, role);
        },
        expected: 'TUF_MALFORMED',
        trusted: { [role]: 1 },
      },
    ],
  }));
}

export const SHAPES: Row[] = [
  ...ROLES.map(
    (role): Row => ({
      name: `${role} is larger than allowed (endless data)`,
      suite: 'own: TUF 1.0.31, 1.5.2, 5.3.3 to 5.6.1',
      steps: [
        FIRST,
        {
          before: (repo) => void repo.files.set(bumpFor(repo, role), Buffer.alloc(TOO_LARGE[role], 32)),
          expected: 'TUF_TOO_LARGE',
          trusted: { [role]: 1 },
        },
      ],
    }),
  ),
  ...(['snapshot', 'targets'] as const).map(
    (role): Row => ({
      name: `${role} is longer than was announced (endless data)`,
      suite: 'own: TUF 1.0.31, 5.5.1, 5.6.1',
      steps: [
        FIRST,
        {
          before(repo) {
            repo.hashes = true;
            const name = bumpFor(repo, role);
            repo.files.set(name, Buffer.concat([repo.files.get(name) as Buffer, Buffer.from(' ')]));
          },
          expected: 'TUF_TOO_LARGE',
          trusted: { [role]: 1 },
        },
      ],
    }),
  ),
  ...ROLES.map(
    (role): Row => ({
      name: `${role} is no JSON`,
      suite: 'own: malformed metadata',
      steps: [
        FIRST,
        {
          before: (repo) => void repo.files.set(bumpFor(repo, role), Buffer.from('{"signed"')),
          expected: 'TUF_MALFORMED',
          trusted: { [role]: 1 },
        },
        { before: (repo) => bumpForAll(repo), expected: 'ok' },
      ],
    }),
  ),
  ...wrong(
    'of the next specification’s major version',
    (repo, role) => {
      repo.signedOf(role).spec_version = '2.0.0';
    },
    'own: TUF 1.0.31, 4.3 (spec_version)',
  ),
  ...(['0', '"2"'] as const).map(
    (version): Row => ({
      name: `timestamp: its version is ${version}`,
      suite: 'own: TUF 1.0.31, 4.3 (version)',
      steps: [
        {
          before(repo) {
            const signed = { ...repo.timestamp, version: JSON.parse(version) };
            repo.files.set('timestamp.json', repo.seal('timestamp', signed));
          },
          expected: 'TUF_MALFORMED',
          trusted: { timestamp: null },
        },
      ],
    }),
  ),
  ...wrong(
    'its type is another’s',
    (repo, role) => {
      repo.signedOf(role)._type = 'mirrors';
    },
    'own: TUF 1.0.31, 4.3 (_type)',
  ),
  {
    name: 'a root of the chain is missing',
    suite: 'own: TUF 1.0.31, 5.3.3',
    steps: [
      {
        before(repo) {
          repo.bump('root');
          repo.rotate('timestamp');
          repo.bump('root');
          repo.bump('timestamp');
          repo.files.delete('2.root.json');
        },
        expected: 'TUF_SIGNATURE_INVALID',
        trusted: { root: 1, timestamp: null },
        asked: ['2.root.json', 'timestamp.json'],
      },
    ],
  },
  {
    name: 'no more than 64 roots in one refresh; the next one goes on',
    suite: 'own: TUF 1.0.31, 5.3.3 (bound on rotations)',
    repository() {
      const repo = new TufSimulator();
      for (let i = 0; i < 70; i += 1) repo.bump('root');
      repo.rotate('timestamp');
      repo.bump('root', 'timestamp');
      return repo;
    },
    steps: [
      { expected: 'TUF_SIGNATURE_INVALID', trusted: { root: 65, timestamp: null } },
      { expected: 'ok', trusted: { root: 72, timestamp: 2 } },
    ],
  },
];

function bumpForAll(repo: TufSimulator): void {
  // The broken root was never taken: the same version is signed again.
  repo.publish('root');
  repo.update();
}

/** Cases of the suite that are not played, and why. */
export const NOT_APPLICABLE: { suite: string; reason: string }[] = [
  {
    suite: 'test_static_repositories.py::test_static_repo',
    reason: 'plays recorded repositories of other projects, which are not ours to copy; no other format is involved',
  },
  {
    suite: 'test_updater_delegation_graphs.py (path_hash_prefixes, succinct roles)',
    reason: 'tuf-js supports them; the fleet delegates to one role by path, and no other delegation is ever signed',
  },
  {
    suite: 'test_repository_simulator.py, self_tests/',
    reason: 'test the suite’s own simulator, not a client',
  },
  {
    suite: 'CLIENT-CLI.md (exit codes, files named by target path)',
    reason: 'the board has no TUF command line: targets are objects in memory, named by hash, never by their path',
  },
];
