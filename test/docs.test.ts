import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { INSTALL_ERROR_CODES } from '@vigie/protocol';
import { describe, expect, it } from 'vitest';
import { AGENT_CLI } from '../benchmarks/src/rig/repository.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const pages = [
  ...readdirSync(root).filter((name) => name.endsWith('.md')),
  ...['docs', 'docker', 'systemd'].flatMap((folder) =>
    readdirSync(join(root, folder))
      .filter((name) => name.endsWith('.md'))
      .map((name) => `${folder}/${name}`),
  ),
];

describe('the documents', () => {
  it.each(pages)('%s links only to what is there', (page) => {
    const links = [...read(page).matchAll(/\]\((?!https?:)([^)#\s]+)/g)].map(([, target]) => target);
    const dead = links.filter((target) => !existsSync(join(root, dirname(page), target)));
    expect(dead).toEqual([]);
  });

  it('show every field of the agent as `vigie-agent config` prints it', () => {
    const printed = execFileSync(process.execPath, [AGENT_CLI, 'config'], { encoding: 'utf8' });
    expect(read('docs/agent-configuration.md')).toContain(`\`\`\`yaml\n${printed}\`\`\``);
  });

  it('explain every code with which an install can fail', () => {
    const wire = read('docs/wire.md');
    const unexplained = INSTALL_ERROR_CODES.filter((code) => code !== 'INTERNAL' && !wire.includes(`\`${code}\``));
    expect(unexplained).toEqual([]);
  });
});
