import type { Row } from './case.js';
import { DELEGATED, withDelegation } from './delegated-file.js';

export const ROLLBACK: Row[] = [
  {
    name: 'an older snapshot that the timestamp does not name is not asked for',
    suite: 'test_rollback.py::test_simple_snapshot_rollback',
    steps: [
      { before: (repo) => repo.bump('snapshot', 'timestamp'), expected: 'ok', trusted: { snapshot: 2 } },
      {
        before(repo) {
          repo.files.set('2.snapshot.json', repo.files.get('1.snapshot.json') as Buffer);
        },
        expected: 'ok',
        trusted: { snapshot: 2 },
        asked: ['2.root.json', 'timestamp.json'],
      },
    ],
  },
  {
    name: 'an older timestamp',
    suite: 'test_rollback.py::test_new_timestamp_version_rollback',
    steps: [
      { before: (repo) => repo.bump('timestamp'), expected: 'ok', trusted: { timestamp: 2 } },
      {
        before(repo) {
          repo.timestamp.version = 1;
          repo.publish('timestamp');
        },
        expected: 'TUF_ROLLBACK',
        trusted: { timestamp: 2 },
        asked: ['2.root.json', 'timestamp.json'],
      },
    ],
  },
  ...[false, true].flatMap((hashes): Row[] => [
    {
      name: `a newer timestamp that names an older snapshot${hashes ? ', with hashes' : ''}`,
      suite: `test_rollback.py::test_snapshot_rollback[${hashes ? 'with hashes' : 'basic'}]`,
      steps: [
        {
          before(repo) {
            repo.hashes = hashes;
            repo.bump('snapshot', 'timestamp');
          },
          expected: 'ok',
        },
        {
          before(repo) {
            repo.snapshot.version = 1;
            repo.publish('snapshot');
            repo.bump('timestamp');
          },
          expected: 'TUF_ROLLBACK',
          trusted: { timestamp: 2, snapshot: 2 },
        },
      ],
    },
    {
      name: `a newer snapshot that names older targets${hashes ? ', with hashes' : ''}`,
      suite: `test_rollback.py::test_targets_rollback[${hashes ? 'with hashes' : 'basic'}]`,
      steps: [
        {
          before(repo) {
            repo.hashes = hashes;
            repo.update();
          },
          expected: 'ok',
        },
        {
          before(repo) {
            repo.targets.version = 1;
            repo.publish('targets');
            repo.bump('snapshot', 'timestamp');
          },
          expected: 'TUF_ROLLBACK',
          trusted: { timestamp: 3, snapshot: 2, targets: 2 },
        },
      ],
    },
  ]),
  {
    name: 'a snapshot that no longer lists a role',
    suite: 'own: TUF 1.0.31, 5.5.5',
    steps: [
      { before: (repo) => withDelegation(repo, 7), expected: 'ok' },
      {
        before(repo) {
          delete repo.snapshot.meta['delegated.json'];
          repo.bump('snapshot', 'timestamp');
        },
        expected: 'TUF_ROLLBACK',
        trusted: { snapshot: 2 },
      },
    ],
  },
  {
    name: 'an older delegated role',
    suite: 'own: TUF 1.0.31, 5.5.5',
    steps: [
      {
        before(repo) {
          withDelegation(repo, 7);
          repo.bump('delegated', 'snapshot', 'timestamp');
        },
        get: DELEGATED,
        expected: 'ok',
      },
      {
        before(repo) {
          repo.signedOf('delegated').version = 1;
          repo.publish('delegated');
          repo.bump('snapshot', 'timestamp');
        },
        get: DELEGATED,
        expected: 'TUF_ROLLBACK',
        trusted: { delegated: 2 },
      },
    ],
  },
  {
    name: 'the first root again in the place of the second',
    suite: 'own: TUF 1.0.31, 5.3.5',
    steps: [
      {
        before: (repo) => repo.files.set('2.root.json', repo.files.get('1.root.json') as Buffer),
        expected: 'TUF_ROLLBACK',
        trusted: { root: 1 },
      },
    ],
  },
  {
    name: 'a root that skips a version',
    suite: 'own: TUF 1.0.31, 5.3.5',
    steps: [
      {
        before(repo) {
          repo.root.version = 2;
          repo.bump('root');
          repo.files.set('2.root.json', repo.files.get('3.root.json') as Buffer);
        },
        expected: 'TUF_MISMATCH',
        trusted: { root: 1 },
      },
    ],
  },
  {
    name: 'a snapshot with another version than the timestamp names (mix-and-match)',
    suite: 'test_rollback.py::test_new_snapshot_version_mismatch',
    steps: [
      {
        before(repo) {
          repo.bump('snapshot');
          repo.files.set('1.snapshot.json', repo.files.get('2.snapshot.json') as Buffer);
        },
        expected: 'TUF_MISMATCH',
        trusted: { root: 1, timestamp: 1, snapshot: null },
      },
    ],
  },
  {
    name: 'targets with another version than the snapshot names (mix-and-match)',
    suite: 'own: TUF 1.0.31, 5.6.4',
    steps: [
      {
        before(repo) {
          repo.bump('targets');
          repo.files.set('1.targets.json', repo.files.get('2.targets.json') as Buffer);
        },
        expected: 'TUF_MISMATCH',
        trusted: { snapshot: 1, targets: null },
      },
    ],
  },
  ...(['timestamp', 'snapshot', 'targets'] as const).map(
    (role): Row => ({
      name: `${role} was fast-forwarded, and recovers by new keys`,
      suite: `test_rollback.py::test_new_${role}_fast_forward_recovery`,
      steps: [
        {
          before(repo) {
            repo.signedOf(role).version = 99_998;
            repo.bump(role);
            if (role === 'targets') repo.bump('snapshot');
            if (role !== 'timestamp') repo.bump('timestamp');
          },
          expected: 'ok',
          trusted: { [role]: 99_999 },
        },
        {
          before(repo) {
            // Targets recover by new keys of snapshot, which holds their version; snapshot also by those of timestamp.
            if (role !== 'timestamp') repo.rotate('snapshot');
            if (role !== 'targets') repo.rotate('timestamp');
            repo.bump('root');
            repo.signedOf(role).version = 0;
            repo.bump(role);
            if (role === 'targets') repo.bump('snapshot');
            if (role !== 'timestamp') {
              if (role === 'snapshot') repo.timestamp.version = 0;
              repo.bump('timestamp');
            }
          },
          expected: 'ok',
          trusted: { [role]: 1 },
        },
      ],
    }),
  ),
];
