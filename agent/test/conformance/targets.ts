import { sha256Of, TufSimulator } from '../tuf-simulator.js';
import type { Row } from './case.js';

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
        expected: 'TUF_MISMATCH',
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
