import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

// A file says nothing about the machine on which it was written: no home or work folder, no package mirror.
// (Put together from pieces, so that this file does not find itself.)
const HOMES = ['work', 'root', 'farm', 'home', 'Users'].join('|');
const PATTERNS = [
  { name: "a machine's path", pattern: new RegExp(`(?<![\\w.\\-}\\]/*])/(?:${HOMES})/[\\w.]`) },
  {
    name: 'a package registry',
    pattern: /"resolved":\s*"https?:|\bregistry\s*=\s*https?:|https?:\/\/[\w.-]*registry[\w.-]*\.[a-z]{2,}/,
  },
];
const MAXIMUM_BYTES = 2_000_000;

function committedFiles(root) {
  const options = { cwd: root, encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 };
  const listed = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], options);
  return [...new Set(listed.split('\0').filter((path) => path !== ''))];
}

/** Lines `path:line: what` for each trace of a machine in the files that git holds or would hold. */
export function findTraces(root) {
  const traces = [];
  for (const path of committedFiles(root)) {
    let bytes;
    try {
      bytes = readFileSync(join(root, path));
    } catch {
      continue; // deleted, but not yet committed so
    }
    if (bytes.length > MAXIMUM_BYTES || bytes.includes(0)) continue;
    const lines = bytes.toString('utf8').split('\n');
    for (const [index, line] of lines.entries()) {
      for (const { name, pattern } of PATTERNS)
        if (pattern.test(line)) traces.push(`${path}:${index + 1}: names ${name}`);
    }
  }
  return traces;
}
