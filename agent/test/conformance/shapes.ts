import { TufSimulator } from '../tuf-simulator.js';
import { FIRST, type Row, type TopRole } from './case.js';

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
