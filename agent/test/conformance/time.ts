import { inDays, type TufSimulator } from '../tuf-simulator.js';
import { FIRST, type Row } from './case.js';

const DELEGATED = 'delegatedpath/first';

/** `delegated` lists two targets and expires in `days`. */
function withDelegation(repo: TufSimulator, days: number): void {
  repo.delegate('targets', 'delegated', { paths: ['delegatedpath/*'], expires: inDays(days) });
  repo.add(DELEGATED, 'first', 'delegated');
  repo.add('delegatedpath/second', 'second', 'delegated');
  repo.bump('delegated', 'targets', 'snapshot', 'timestamp');
}

export const EXPIRATION: Row[] = [
  {
    name: 'an expired root is kept, and ends the refresh',
    suite: 'test_expiration.py::test_root_expired',
    steps: [
      FIRST,
      { before: (repo) => repo.bump('root'), expected: 'ok', trusted: { root: 2 } },
      {
        before(repo) {
          repo.root.expires = inDays(-1);
          repo.bump('root');
          repo.update();
        },
        expected: 'TUF_EXPIRED',
        trusted: { root: 3, timestamp: 1, snapshot: 1, targets: 1 },
      },
    ],
  },
  {
    name: 'an expired root is healed by the next one',
    suite: 'own: TUF 1.0.31, 5.3.10',
    steps: [
      {
        before(repo) {
          repo.root.expires = inDays(-1);
          repo.bump('root');
        },
        expected: 'TUF_EXPIRED',
        trusted: { root: 2, timestamp: null },
      },
      {
        before(repo) {
          repo.root.expires = inDays(10);
          repo.bump('root');
        },
        expected: 'ok',
        trusted: { root: 3, timestamp: 1 },
      },
    ],
  },
  {
    name: 'an expired timestamp (freeze)',
    suite: 'test_expiration.py::test_timestamp_expired',
    steps: [
      FIRST,
      {
        before(repo) {
          repo.timestamp.expires = inDays(-5);
          repo.bump('timestamp');
        },
        expected: 'TUF_EXPIRED',
        trusted: { timestamp: 1 },
      },
    ],
  },
  {
    name: 'the same metadata for ever (freeze)',
    suite: 'own: TUF 1.0.31, 1.5.2',
    steps: [FIRST, { days: 31, expected: 'TUF_EXPIRED', trusted: { timestamp: 1 } }],
  },
  {
    name: 'an expired snapshot',
    suite: 'test_expiration.py::test_snapshot_expired',
    steps: [
      FIRST,
      {
        before(repo) {
          repo.snapshot.expires = inDays(-5);
          repo.bump('snapshot', 'timestamp');
        },
        expected: 'TUF_EXPIRED',
        trusted: { snapshot: 1 },
      },
    ],
  },
  {
    name: 'expired targets',
    suite: 'test_expiration.py::test_targets_expired',
    steps: [
      FIRST,
      {
        before(repo) {
          repo.targets.expires = inDays(-5);
          repo.update();
        },
        expected: 'TUF_EXPIRED',
        trusted: { targets: 1 },
      },
    ],
  },
  {
    name: 'expired metadata on the disk is good enough to go on from',
    suite: 'test_expiration.py::test_expired_metadata',
    steps: [
      {
        before(repo) {
          repo.timestamp.expires = inDays(7);
          repo.publish('timestamp');
        },
        expected: 'ok',
      },
      {
        before(repo) {
          repo.timestamp.expires = inDays(21);
          repo.update();
        },
        days: 18,
        expected: 'ok',
        trusted: { timestamp: 2, snapshot: 2, targets: 2 },
      },
    ],
  },
  {
    name: 'expired metadata on the disk still protects from rollback',
    suite: 'own: TUF 1.0.31, 5.4.3',
    steps: [
      {
        before(repo) {
          repo.timestamp.expires = inDays(7);
          repo.bump('timestamp');
        },
        expected: 'ok',
      },
      {
        before(repo) {
          repo.timestamp.expires = inDays(21);
          repo.timestamp.version = 1;
          repo.publish('timestamp');
        },
        days: 18,
        expected: 'TUF_ROLLBACK',
        trusted: { timestamp: 2 },
      },
    ],
  },
  {
    name: 'the clock is ours',
    suite: 'test_basic.py::test_faketime',
    steps: [
      {
        before(repo) {
          repo.root.expires = inDays(7);
          repo.bump('root');
        },
        expected: 'ok',
      },
      { days: 8, expected: 'TUF_EXPIRED' },
    ],
  },
  {
    name: 'a delegated role that has expired when it is first seen',
    suite: 'test_delegated_expiration.py::test_delegated_targets_expired',
    steps: [
      { before: (repo) => withDelegation(repo, -1), expected: 'ok' },
      {
        get: DELEGATED,
        expected: 'TUF_EXPIRED',
        trusted: { root: 1, snapshot: 2, targets: 2, timestamp: 2, delegated: null },
      },
    ],
  },
  {
    name: 'a delegated role that expires on the disk',
    suite: 'test_delegated_expiration.py::test_expired_local_delegated_targets',
    steps: [
      { before: (repo) => withDelegation(repo, 7), get: DELEGATED, expected: 'ok' },
      { days: 18, get: 'delegatedpath/second', expected: 'TUF_EXPIRED' },
    ],
  },
  {
    name: 'a delegated role that expired on the disk and was renewed',
    suite: 'test_delegated_expiration.py::test_expired_local_delegated_targets_updates',
    steps: [
      { before: (repo) => withDelegation(repo, 7), get: DELEGATED, expected: 'ok' },
      {
        before(repo) {
          repo.signedOf('delegated').expires = inDays(21);
          repo.bump('delegated', 'snapshot', 'timestamp');
        },
        days: 18,
        get: 'delegatedpath/second',
        expected: 'ok',
        trusted: { delegated: 2 },
      },
    ],
  },
  ...(['root', 'timestamp', 'snapshot', 'targets'] as const).map(
    (role): Row => ({
      name: `${role} expires at no time`,
      suite: 'own: TUF 1.0.31, 4.3 (tuf-js takes it for never)',
      steps: [
        {
          before(repo) {
            repo.signedOf(role).expires = 'when hell freezes over';
            repo.bump(role);
            if (role === 'targets') repo.bump('snapshot');
            if (role !== 'root' && role !== 'timestamp') repo.bump('timestamp');
          },
          expected: 'TUF_MALFORMED',
          trusted: { [role]: role === 'root' ? 1 : null },
        },
      ],
    }),
  ),
];

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
