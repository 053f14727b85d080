import { newKey, type SimulatorKey, TufSimulator } from '../tuf-simulator.js';
import type { Outcome, Row } from './case.js';

/** One version of a role: which of ten keys it lists, how many must sign, and which do. */
interface Turn {
  keys: number[];
  threshold: number;
  signers: number[];
}

const turn = (keys: string, threshold: number, signers: string): Turn => ({
  keys: [...keys].map(Number),
  threshold,
  signers: [...signers].map(Number),
});

/** Successive roots; all but the last must be taken. */
const ROOTS: Record<string, { turns: Turn[]; expected: Outcome }> = {
  '1-of-1-key-rotation': { turns: [turn('1', 1, '1'), turn('2', 1, '21'), turn('2', 1, '2')], expected: 'ok' },
  '1-of-1-key-rotation-unused-signatures': {
    turns: [turn('1', 1, '314'), turn('2', 1, '3214'), turn('2', 1, '324')],
    expected: 'ok',
  },
  '3-of-5-sign-with-different-keycombos': {
    turns: [turn('01234', 3, '024'), turn('01234', 3, '041'), turn('01234', 3, '013'), turn('01234', 3, '013')],
    expected: 'ok',
  },
  '3-of-5-one-key-rotated': { turns: [turn('01234', 3, '024'), turn('01345', 3, '041')], expected: 'ok' },
  '3-of-5-one-key-rotated-with-intermediate-step': {
    turns: [turn('01234', 3, '024'), turn('01345', 3, '0245'), turn('01345', 3, '045')],
    expected: 'ok',
  },
  '3-of-5-all-keys-rotated-with-intermediate-step': {
    turns: [turn('01234', 3, '024'), turn('56789', 3, '024567'), turn('56789', 3, '567')],
    expected: 'ok',
  },
  '1-of-3-threshold-increase-to-2-of-3': { turns: [turn('123', 1, '1'), turn('123', 2, '12')], expected: 'ok' },
  '2-of-3-threshold-decrease-to-1-of-3': {
    turns: [turn('123', 2, '12'), turn('123', 1, '12'), turn('123', 1, '1')],
    expected: 'ok',
  },
  '1-of-2-threshold-increase-to-2-of-2': { turns: [turn('1', 1, '1'), turn('12', 2, '12')], expected: 'ok' },
  '1-of-1-key-rotation-fail-not-signed-with-old-key': {
    turns: [turn('1', 1, '1'), turn('2', 1, '234')],
    expected: 'TUF_SIGNATURE_INVALID',
  },
  '1-of-1-key-rotation-fail-not-signed-with-new-key': {
    turns: [turn('1', 1, '1'), turn('2', 1, '134')],
    expected: 'TUF_SIGNATURE_INVALID',
  },
  '3-of-5-one-key-rotate-fails-not-signed-with-3-new-keys': {
    turns: [turn('01234', 3, '024'), turn('01345', 3, '024')],
    expected: 'TUF_SIGNATURE_INVALID',
  },
  '3-of-5-one-key-rotate-fails-not-signed-with-3-old-keys': {
    turns: [turn('01234', 3, '024'), turn('01345', 3, '045')],
    expected: 'TUF_SIGNATURE_INVALID',
  },
  '1-of-3-threshold-bump-to-2-of-3-fails-new-threshold-not-reached': {
    turns: [turn('123', 1, '1'), turn('123', 2, '2')],
    expected: 'TUF_SIGNATURE_INVALID',
  },
  '2-of-3-threshold-decr-to-1-of-3-fails-old-threshold-not-reached': {
    turns: [turn('123', 2, '12'), turn('123', 1, '1')],
    expected: 'TUF_SIGNATURE_INVALID',
  },
  'a removed key signs the root after next (own)': {
    turns: [turn('1', 1, '1'), turn('2', 1, '21'), turn('1', 1, '1')],
    expected: 'TUF_KEY_REVOKED',
  },
};

/** A new root gives a role other keys, and the role is signed anew. */
const OTHERS: Record<string, { turn: Turn; expected: Outcome }> = {
  '1-of-1-key-rotation': { turn: turn('2', 1, '2'), expected: 'ok' },
  '1-of-1-key-rotation-unused-signatures': { turn: turn('1', 1, '314'), expected: 'ok' },
  '1-of-1-key-rotation-fail-not-signed-with-new-key': {
    turn: turn('2', 1, '134'),
    expected: 'TUF_SIGNATURE_INVALID',
  },
  '3-of-5-one-key-signature-wrong-not-signed-with-3-expected-keys': {
    turn: turn('01345', 3, '024'),
    expected: 'TUF_SIGNATURE_INVALID',
  },
  '2-of-5-one-key-signature-missing-threshold-not-reached': {
    turn: turn('01345', 3, '04'),
    expected: 'TUF_SIGNATURE_INVALID',
  },
  '3-of-5-sign-first-combo': { turn: turn('01234', 3, '024'), expected: 'ok' },
  '3-of-5-sign-second-combo': { turn: turn('01234', 3, '041'), expected: 'ok' },
  '3-of-5-sign-third-combo': { turn: turn('01234', 3, '013'), expected: 'ok' },
  '3-of-5-sign-fourth-combo': { turn: turn('01234', 3, '123'), expected: 'ok' },
  '3-of-5-sign-fifth-combo': { turn: turn('01234', 3, '234'), expected: 'ok' },
};

function give(repo: TufSimulator, role: string, { keys, threshold, signers }: Turn, ten: SimulatorKey[]): void {
  repo.root.roles[role] = { keyids: [], threshold };
  for (const key of keys) repo.listKey(role, ten[key]);
  repo.signers.set(
    role,
    signers.map((signer) => ten[signer]),
  );
}

const rootRows = Object.entries(ROOTS).map(
  ([name, { turns, expected }]): Row => ({
    name: `roots: ${name}`,
    suite: `test_updater_key_rotations.py::test_root_rotation[${name}]`,
    repository() {
      const ten = Array.from({ length: 10 }, () => newKey());
      const repo = new TufSimulator();
      repo.root.version = 0;
      for (const next of turns) {
        give(repo, 'root', next, ten);
        repo.bump('root');
      }
      return repo;
    },
    steps: [{ expected, trusted: { root: expected === 'ok' ? turns.length : turns.length - 1 } }],
  }),
);

const otherRows = Object.entries(OTHERS).flatMap(([name, { turn: next, expected }]) =>
  (['timestamp', 'snapshot', 'targets'] as const).map(
    (role): Row => ({
      name: `${role}: ${name}`,
      suite: `test_updater_key_rotations.py::test_non_root_rotations[${name}]`,
      repository() {
        const ten = Array.from({ length: 10 }, () => newKey());
        const repo = new TufSimulator();
        give(repo, role, next, ten);
        repo.bump('root');
        repo.update();
        return repo;
      },
      steps: [{ expected, trusted: { root: 2, [role]: expected === 'ok' ? 2 : null } }],
    }),
  ),
);

export const ROTATION: Row[] = [...rootRows, ...otherRows];
