import { expect } from 'vitest';
import { newKey, TufSimulator } from '../tuf-simulator.js';
import { FIRST, type Row, type TopRole } from './case.js';

const UP_TO_DATE = ['2.root.json', 'timestamp.json'];

/** Which of the four are on the disk when the named one is not signed by its key. */
const BEFORE: Record<TopRole, Record<TopRole, number | null>> = {
  root: { root: 1, timestamp: null, snapshot: null, targets: null },
  timestamp: { root: 1, timestamp: null, snapshot: null, targets: null },
  snapshot: { root: 1, timestamp: 1, snapshot: null, targets: null },
  targets: { root: 1, timestamp: 1, snapshot: 1, targets: null },
};

const unsigned = (Object.keys(BEFORE) as TopRole[]).map(
  (role): Row => ({
    name: `${role} without its signature`,
    suite: `test_basic.py::test_unsigned_metadata[${role}]`,
    steps: [
      {
        before(repo) {
          repo.signers.set(role, []);
          if (role === 'root') repo.bump('root');
          else repo.publish(role);
        },
        expected: 'TUF_SIGNATURE_INVALID',
        trusted: BEFORE[role],
      },
    ],
  }),
);

export const BASIC: Row[] = [
  {
    name: 'the first refresh asks for each role once',
    suite: 'test_basic.py::test_basic_init_and_refresh',
    steps: [{ ...FIRST, asked: [...UP_TO_DATE, '1.snapshot.json', '1.targets.json'] }],
  },
  {
    name: 'a target is searched in fresh metadata',
    suite: 'test_basic.py::test_implicit_refresh',
    steps: [{ ...FIRST, get: 'nonexistent', expected: 'TARGET_UNKNOWN' }],
  },
  {
    name: 'an initial root that is no metadata',
    suite: 'test_basic.py::test_invalid_initial_root',
    initialRoot(bytes) {
      const root = JSON.parse(bytes.toString());
      delete root.signed.version;
      return Buffer.from(JSON.stringify(root));
    },
    steps: [{ expected: 'TUF_MALFORMED', asked: [] }],
  },
  {
    name: 'an initial root with a foreign signature',
    suite: 'test_basic.py::test_unsigned_initial_root',
    initialRoot(bytes) {
      const root = JSON.parse(bytes.toString());
      root.signatures[0].sig = newKey().sign(Buffer.from('anything'));
      return Buffer.from(JSON.stringify(root));
    },
    steps: [{ expected: 'TUF_SIGNATURE_INVALID', asked: [] }],
  },
  ...unsigned,
  {
    name: 'a timestamp of the same version with other content is no news',
    suite: 'test_basic.py::test_timestamp_content_changes, test_timestamp_eq_versions_check',
    steps: [
      FIRST,
      {
        before(repo) {
          repo.timestamp.meta['snapshot.json'].version = 100;
          repo.publish('timestamp');
        },
        expected: 'ok',
        asked: UP_TO_DATE,
        after: (client) =>
          expect(JSON.parse(String(client.local('timestamp'))).signed.meta['snapshot.json'].version).toBe(1),
      },
    ],
  },
  {
    name: 'hashes in timestamp and snapshot count',
    suite: 'test_basic.py::test_basic_metadata_hash_support',
    steps: [
      {
        before(repo) {
          repo.hashes = true;
          repo.update();
        },
        expected: 'ok',
        trusted: { targets: 2 },
      },
      {
        before(repo) {
          repo.bump('targets');
          repo.snapshot.meta['targets.json'].hashes = { sha256: '4'.repeat(64) };
          repo.bump('snapshot', 'timestamp');
        },
        expected: 'TUF_MISMATCH',
        trusted: { timestamp: 3, snapshot: 3, targets: 2 },
      },
    ],
  },
  {
    name: 'a hash of another algorithm is computed, one of none is refused',
    suite: 'own: TUF 1.0.31, 4.4',
    steps: [
      {
        before(repo) {
          repo.snapshot.meta['targets.json'].hashes = { rot13: 'a' };
          repo.bump('snapshot', 'timestamp');
        },
        expected: 'TUF_MISMATCH',
        trusted: { snapshot: 2, targets: null },
      },
    ],
  },
  {
    name: 'targets changed behind the hash in snapshot (mix-and-match)',
    suite: 'test_basic.py::test_new_targets_hash_mismatch',
    steps: [
      {
        before(repo) {
          repo.hashes = true;
          repo.update();
        },
        expected: 'ok',
      },
      {
        before(repo) {
          repo.targets.version += 1;
          repo.publish('targets');
          const announced = { ...repo.snapshot.meta['targets.json'], hashes: { sha256: '5'.repeat(64) } };
          repo.snapshot.meta['targets.json'] = announced;
          repo.bump('snapshot', 'timestamp');
        },
        expected: 'TUF_MISMATCH',
        trusted: { snapshot: 3, targets: 2 },
      },
    ],
  },
  {
    name: 'a length in snapshot that the bytes do not have',
    suite: 'own: TUF 1.0.31, 5.6.2',
    steps: [
      {
        before(repo) {
          repo.hashes = true;
          repo.bump('targets');
          const meta = repo.snapshot.meta['targets.json'];
          meta.length = Number(meta.length) + 1;
          repo.bump('snapshot', 'timestamp');
        },
        expected: 'TUF_MISMATCH',
        trusted: { snapshot: 2, targets: null },
      },
    ],
  },
  {
    name: 'newer targets that snapshot does not name yet are not asked for',
    suite: 'test_basic.py::test_new_targets_version_mismatch',
    steps: [
      FIRST,
      {
        before: (repo) => repo.bump('targets'),
        expected: 'ok',
        trusted: { targets: 1 },
        asked: UP_TO_DATE,
      },
    ],
  },
  {
    name: 'the bytes that came are kept as they came',
    suite: 'test_basic.py::test_metadata_bytes_match',
    steps: [
      {
        before: (repo) => {
          repo.files.set('timestamp.json', Buffer.concat([repo.files.get('timestamp.json')!, Buffer.from(' ')]));
        },
        expected: 'ok',
        after: (client, repo) =>
          expect(client.local('timestamp')?.equals(repo.files.get('timestamp.json') as Buffer)).toBe(true),
      },
    ],
  },
  {
    name: 'unknown fields are part of what is signed',
    suite: 'test_basic.py::test_custom_fields',
    steps: [
      FIRST,
      {
        before(repo) {
          repo.root['custom-field'] = 'value';
          repo.root.roles.root['another-field'] = 'value';
          repo.addKey('root', newKey('ed25519', { 'extra-field': { a: 1, b: 2 } }));
          repo.bump('root');
        },
        expected: 'ok',
        trusted: { root: 2 },
      },
    ],
  },
  {
    name: 'keyid_hash_algorithms means nothing',
    suite: 'test_basic.py::test_deprecated_keyid_hash_algorithms, test_keys.py::test_wrong_hashing_algorithm',
    steps: [
      {
        before(repo) {
          repo.root.roles.snapshot.keyids = [];
          repo.signers.set('snapshot', []);
          repo.addKey('snapshot', newKey('ed25519', { keyid_hash_algorithms: ['md5'] }));
          repo.bump('root', 'snapshot', 'timestamp');
        },
        expected: 'ok',
        trusted: { root: 2, snapshot: 2 },
      },
    ],
  },
  ...(['timestamp', 'snapshot', 'targets'] as const).map(
    (role): Row => ({
      name: `${role} is announced and absent`,
      suite: `test_basic.py::test_${role}_404`,
      steps: [
        FIRST,
        {
          before(repo) {
            if (role === 'timestamp') repo.files.delete('timestamp.json');
            else repo.update();
            repo.files.delete(`2.${role}.json`);
          },
          expected: 'TUF_UNAVAILABLE',
          trusted: {
            timestamp: role === 'timestamp' ? 1 : 2,
            snapshot: role === 'targets' ? 2 : 1,
            targets: 1,
          },
        },
      ],
    }),
  ),
  {
    name: 'a snapshot in the place of a timestamp, signed by the timestamp key',
    suite: 'test_basic.py::test_incorrect_metadata_type',
    steps: [
      {
        before(repo) {
          const [key] = repo.signers.get('timestamp') ?? [];
          repo.addKey('snapshot', key);
          repo.snapshot.meta = { 'snapshot.json': { version: 1 } };
          repo.bump('root', 'snapshot');
          repo.files.set('timestamp.json', repo.files.get('2.snapshot.json') as Buffer);
        },
        expected: 'TUF_MALFORMED',
        trusted: { root: 2, timestamp: null },
      },
    ],
  },
  {
    name: 'without consistent snapshots the names have no versions',
    suite: 'test_expiration.py::test_TestDelegateConsistentSnapshotDisabled',
    repository() {
      const repo = new TufSimulator();
      repo.root.consistent_snapshot = false;
      repo.bump('root');
      for (const name of ['role1', '..', '.']) repo.delegate('targets', name);
      repo.bump('role1', '..', '.', 'targets', 'snapshot', 'timestamp');
      return repo;
    },
    steps: [
      {
        get: 'nonexistent',
        expected: 'TARGET_UNKNOWN',
        asked: [
          ...['2.root.json', '3.root.json', 'timestamp.json', 'snapshot.json', 'targets.json'],
          ...['role1.json', '...json', '..json'],
        ],
      },
    ],
  },
];
