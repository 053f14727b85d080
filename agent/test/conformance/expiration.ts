import { inDays } from '../tuf-simulator.js';
import { FIRST, type Row } from './case.js';
import { DELEGATED, withDelegation } from './delegated-file.js';

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
