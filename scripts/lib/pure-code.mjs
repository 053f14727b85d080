import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

// What the import rules cannot see: clocks, timers, randomness and the process are globals. Pure code gets them as arguments.
const PURE_FOLDERS = [
  'agent/protocol/src',
  'agent/src/vision',
  'agent/src/update',
  'fleet-server/src/registry',
  'fleet-server/src/gates',
  'fleet-server/src/rollout',
  'fleet-server/src/devices',
  'fleet-server/src/alerts',
  'models/src/runtime',
];
const GLOBALS =
  /\b(?:Date\.now|Math\.random|performance\.now|setTimeout|setInterval|setImmediate|fetch|randomUUID|randomBytes)\s*\(|\bnew Date\(\s*\)|\bprocess\.(?!\w*:)/;
/** The inference engines behind their port: edges, as the import rules know them too. */
const ENGINES = /^models\/src\/runtime\/(?:onnx-session|tfjs-|load-model)/;

function sourcesOf(root, folder) {
  let entries;
  try {
    entries = readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' });
  } catch {
    return []; // a room of the plan that does not stand yet
  }
  return entries
    .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'))
    .map((name) => `${folder}/${name}`);
}

/** Lines `path:line: what` where pure code reaches for a clock, a timer, randomness or the process. */
export function findImpurities(root) {
  const found = [];
  for (const path of PURE_FOLDERS.flatMap((folder) => sourcesOf(root, folder))) {
    if (ENGINES.test(path)) continue;
    const lines = readFileSync(join(root, path), 'utf8').split('\n');
    for (const [index, line] of lines.entries()) {
      if (/^\s*(\/\/|\/?\*)/.test(line)) continue;
      const hit = GLOBALS.exec(line);
      if (hit !== null) found.push(`${path}:${index + 1}: pure code uses ${hit[0].trim()}; take it as an argument`);
    }
  }
  return found;
}
