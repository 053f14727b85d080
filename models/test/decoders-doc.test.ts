import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { parseManifest } from '../src/package/manifest-file.js';
import { DecoderSpec } from '../src/runtime/decoders/registry.js';

const text = await readFile(new URL('../../docs/decoders.md', import.meta.url), 'utf8');

describe('docs/decoders.md', () => {
  it('has a row for every family', () => {
    const rows = text.split('\n').filter((line) => line.startsWith('| `'));
    const named = rows.flatMap((row) => [...row.split('|')[1].matchAll(/`([a-z0-9-]+)`/g)].map((match) => match[1]));
    expect(named.filter((name) => name !== 'type').sort()).toEqual(
      DecoderSpec.anyOf.map((spec) => spec.properties.type.const).sort(),
    );
  });

  it('shows a manifest that is one', () => {
    const example = /```yaml\n([\s\S]*?)```/.exec(text)?.[1] ?? '';
    expect(parseManifest(example.replace('SHA256', 'a'.repeat(64)))).toMatchObject({ decoder: { type: 'yolov8' } });
  });
});
