import { type KeyKind, newKey } from '../tuf-simulator.js';
import { FIRST, type Row } from './case.js';

/** A key that an earlier root listed signs on: that is told apart from a stranger's signature. */
const revokedRows = (['timestamp', 'snapshot', 'targets'] as const).map(
  (role): Row => ({
    name: `${role} signed by a key that a new root removed`,
    suite: 'own: TUF 1.0.31, 6.1 (key revocation)',
    steps: [
      FIRST,
      {
        before(repo) {
          const old = repo.signers.get(role) ?? [];
          repo.rotate(role);
          repo.bump('root');
          repo.signers.set(role, old);
          repo.update();
        },
        expected: 'TUF_KEY_REVOKED',
        trusted: { root: 2, [role]: 1 },
      },
      {
        before(repo) {
          // The id of the removed key over a signature that is not its own proves nothing.
          const [{ id }] = repo.signers.get(role) ?? [];
          repo.signers.set(role, [{ ...newKey(), id }]);
          repo.update();
        },
        expected: 'TUF_SIGNATURE_INVALID',
        trusted: { [role]: 1 },
      },
      {
        before(repo) {
          repo.rotate(role);
          repo.bump('root');
          repo.update();
        },
        expected: 'ok',
        trusted: { root: 3, [role]: 4 },
      },
    ],
  }),
);

const kinds = (['rsa', 'ecdsa', 'ed25519'] as KeyKind[]).map(
  (kind): Row => ({
    name: `a root key of type ${kind} counts, and a wrong signature of it does not`,
    suite: `test_keys.py::test_keytype_and_scheme[${kind}]`,
    steps: [
      {
        before(repo) {
          repo.addKey('root', newKey(kind));
          repo.root.roles.root.threshold = 2;
          repo.bump('root');
        },
        expected: 'ok',
        trusted: { root: 2 },
      },
      {
        before(repo) {
          repo.bump('root');
          repo.tamper('3.root.json', ({ signatures }) => {
            signatures[1].sig = newKey(kind).sign(Buffer.from('something else'));
          });
        },
        expected: 'TUF_SIGNATURE_INVALID',
        trusted: { root: 2 },
      },
    ],
  }),
);

export const KEYS: Row[] = [
  ...revokedRows,
  ...kinds,
  {
    name: 'snapshot with two of three signatures',
    suite: 'test_keys.py::test_snapshot_does_not_meet_threshold, test_root_has_keys_but_not_snapshot',
    steps: [
      {
        before(repo) {
          repo.root.roles.snapshot.threshold = 3;
          repo.addKey('snapshot');
          repo.addKey('snapshot');
          repo.bump('root');
          repo.update();
        },
        expected: 'ok',
        trusted: { snapshot: 2 },
      },
      {
        before(repo) {
          repo.signers.get('snapshot')?.pop();
          repo.update();
        },
        expected: 'TUF_SIGNATURE_INVALID',
        trusted: { snapshot: 2 },
      },
    ],
  },
  {
    name: 'snapshot with fewer keys than its threshold',
    suite: 'test_keys.py::test_snapshot_has_too_few_keys, test_snapshot_threshold',
    steps: [
      {
        before(repo) {
          for (let i = 0; i < 4; i += 1) repo.addKey('snapshot');
          repo.root.roles.snapshot.threshold = 6;
          repo.bump('root', 'snapshot', 'timestamp');
        },
        expected: 'TUF_SIGNATURE_INVALID',
        trusted: { root: 2, snapshot: null },
      },
    ],
  },
  {
    name: 'one key listed six times does not make a threshold of six',
    suite: 'test_keys.py::test_duplicate_keys, test_duplicate_keys_root',
    steps: [
      {
        before(repo) {
          const key = repo.addKey('snapshot');
          const { snapshot } = repo.root.roles;
          snapshot.keyids = [...snapshot.keyids, ...Array.from({ length: 8 }, () => key.id)];
          snapshot.threshold = 6;
          repo.bump('root', 'snapshot', 'timestamp');
          repo.tamper('2.snapshot.json', ({ signatures }) => {
            for (let i = 0; i < 8; i += 1) signatures.push(signatures[1]);
          });
        },
        expected: 'TUF_MALFORMED',
        trusted: { root: 1, snapshot: null },
      },
    ],
  },
  {
    name: 'one key under six ids does not make a threshold of six',
    suite: 'own: TUF 1.0.31, 4.2 (the id is the hash of the key)',
    steps: [
      {
        before(repo) {
          const key = repo.addKey('snapshot');
          const names = Array.from({ length: 6 }, (_, i) => ({ ...key, id: `${i}`.repeat(64) }));
          for (const name of names) repo.listKey('snapshot', name);
          repo.signers.set('snapshot', names);
          repo.root.roles.snapshot.threshold = 6;
          repo.bump('root', 'snapshot', 'timestamp');
        },
        expected: 'TUF_MALFORMED',
        trusted: { root: 1, snapshot: null },
      },
    ],
  },
  {
    name: 'a signature that stands there twice',
    suite: 'test_keys.py::test_duplicate_sig_keyids',
    steps: [
      {
        before: (repo) => repo.tamper('1.snapshot.json', ({ signatures }) => signatures.push(signatures[0])),
        expected: 'TUF_MALFORMED',
        trusted: { snapshot: null },
      },
    ],
  },
  ...['another key’s signature', ''].map(
    (wrong): Row => ({
      name: `a valid signature beside ${wrong === '' ? 'an empty one' : 'a wrong one'}`,
      suite: 'test_keys.py::test_invalid_sig_in_valid_metadata',
      steps: [
        {
          before(repo) {
            repo.addKey('timestamp');
            repo.bump('root', 'timestamp');
            repo.tamper('timestamp.json', ({ signatures }) => {
              signatures[0].sig = wrong === '' ? '' : newKey().sign(Buffer.from(wrong));
            });
          },
          expected: 'ok',
          trusted: { timestamp: 2 },
        },
      ],
    }),
  ),
];
