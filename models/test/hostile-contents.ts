import { archiveOf, type HostileCase } from './hostile-archives.js';
import { manifestText, packageFiles } from './package-fixture.js';

/** A manifest with lines replaced, in a package that fits otherwise. */
export const manifestWith = (from: string, to: string): Buffer => archiveOf(packageFiles(undefined, {}, [[from, to]]));
const manifestOf = (text: string | Buffer): Buffer => archiveOf({ ...packageFiles(), 'manifest.yaml': text });
const labelsOf = (text: string | Buffer): Buffer => archiveOf({ ...packageFiles(), 'labels.txt': text });

/** Faults of the files inside. */
export const HOSTILE_CONTENTS: readonly HostileCase[] = [
  ['no manifest', 'MANIFEST_MISSING', /manifest\.yaml/, () => archiveOf({ 'model.onnx': 'x' })],
  [
    'a manifest of 300 KB',
    'TOO_LARGE',
    /manifest\.yaml: \d+ bytes exceed/,
    () => manifestOf(`${manifestText()}# ${'x'.repeat(300_000)}`),
  ],
  ['a manifest in Latin-1', 'MANIFEST_INVALID', /UTF-8/, () => manifestOf(Buffer.from('name: caf\xe9', 'latin1'))],
  ['an empty manifest', 'MANIFEST_INVALID', /no mapping/, () => manifestOf('')],
  [
    'YAML aliases that multiply',
    'MANIFEST_INVALID',
    /aliases/,
    () => manifestOf('a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n'),
  ],
  ['100,000 anchors', 'MANIFEST_INVALID', /aliases/, () => manifestOf(`a: ${'&a '.repeat(80_000)}1`)],
  ['100,000 tags', 'MANIFEST_INVALID', /tags/, () => manifestOf(`a: ${'!!str '.repeat(40_000)}1`)],
  ['YAML 1.1 by directive', 'MANIFEST_INVALID', /directives/, () => manifestOf(`%YAML 1.1\n---\n${manifestText()}`)],
  ['braces nested 60,000 deep', 'MANIFEST_INVALID', /nested deeper/, () => manifestOf('{a: '.repeat(60_000))],
  ['brackets nested 200,000 deep', 'MANIFEST_INVALID', /nested deeper/, () => manifestOf('['.repeat(200_000))],
  [
    'lists nested 100,000 deep in one line',
    'MANIFEST_INVALID',
    /marks in one line/,
    () => manifestOf('- '.repeat(100_000)),
  ],
  [
    'keys nested by indentation',
    'MANIFEST_INVALID',
    /blanks in a row/,
    () => manifestOf(Array.from({ length: 600 }, (_, i) => `${' '.repeat(i)}a:\n`).join('')),
  ],
  [
    '40,000 keys in one mapping',
    'MANIFEST_INVALID',
    /tokens|unknown key|missing/,
    () => manifestOf(Array.from({ length: 20_000 }, (_, i) => `k${i}: 1`).join('\n')),
  ],
  ['120,000 empty keys', 'MANIFEST_INVALID', /tokens/, () => manifestOf(':\n'.repeat(120_000))],
  ['a mapping as a key', 'MANIFEST_INVALID', /YAML/, () => manifestOf('{a: 1}: 2\n')],
  ['two documents', 'MANIFEST_INVALID', /YAML/, () => manifestOf(`${manifestText()}---\nname: other\n`)],
  [
    'a NaN threshold',
    'MANIFEST_INVALID',
    /thresholds\.default: NaN.*write a finite number from 0 to 1/,
    () => manifestWith('default: 0.4', 'default: .nan'),
  ],
  [
    'an infinite threshold',
    'MANIFEST_INVALID',
    /thresholds\.perClass\.person: -Infinity/,
    () => manifestWith('default: 0.4', 'default: 0.4, perClass: { person: -.inf }'),
  ],
  [
    'a NaN mean',
    'MANIFEST_INVALID',
    /input\.mean\[0\]: NaN/,
    () => manifestWith('resize: stretch', 'resize: stretch, mean: [.nan, 0, 0]'),
  ],
  [
    'a threshold that is text',
    'MANIFEST_INVALID',
    /thresholds\.default: "0\.4"/,
    () => manifestWith('default: 0.4', 'default: "0.4"'),
  ],
  [
    'an unknown key',
    'MANIFEST_INVALID',
    /surprise: unknown key; remove/,
    () => manifestWith('task:', 'surprise: 1\ntask:'),
  ],
  [
    'an unknown key with line breaks',
    'MANIFEST_INVALID',
    /unknown key/,
    () => manifestWith('task:', '"a\\nb\\e[2Jc": 1\ntask:'),
  ],
  [
    '__proto__ as a key',
    'MANIFEST_INVALID',
    /__proto__: unknown key|unknown key/,
    () => manifestWith('task:', '__proto__: { polluted: 1 }\ntask:'),
  ],
  [
    'a picture of 10^9 pixels as input',
    'MANIFEST_INVALID',
    /input\.width: 1000000000/,
    () => manifestWith('width: 320', 'width: 1000000000'),
  ],
  [
    'a requirement that is no version',
    'MANIFEST_INVALID',
    /requires\.agent: "newest"/,
    () => archiveOf(packageFiles(undefined, { extra: 'requires: { agent: newest }\n' })),
  ],
  [
    'a path out of the package',
    'FILE_MISSING',
    /labels: "\.\.\/\.\.\/etc\/passwd" is not in the package/,
    () => manifestWith('labels: labels.txt', 'labels: ../../etc/passwd'),
  ],
  [
    'a threshold for an unknown label',
    'MANIFEST_INVALID',
    /thresholds\.perClass: "ghost" is not in labels\.txt; known labels: person/,
    () => manifestWith('default: 0.4', 'default: 0.4, perClass: { ghost: 0.5 }'),
  ],
  [
    'no model file',
    'FILE_MISSING',
    /model\.file: "model\.onnx"/,
    () => {
      const { 'model.onnx': _, ...rest } = packageFiles();
      return archiveOf(rest);
    },
  ],
  [
    'another model than the manifest says',
    'DIGEST_MISMATCH',
    /model\.sha256/,
    () => archiveOf({ ...packageFiles(), 'model.onnx': 'other bytes' }),
  ],

  [
    '10^6 labels',
    'LABELS_INVALID',
    /labels\.txt.*exceed 524288/,
    () => labelsOf(Array.from({ length: 1e6 }, (_, i) => `c${i}`).join('\n')),
  ],
  [
    '262,144 labels of one letter',
    'LABELS_INVALID',
    /262144 labels exceed 4096; give/,
    () => labelsOf('a\n'.repeat(262_144)),
  ],
  [
    'a label that clears the screen',
    'LABELS_INVALID',
    /line 2: holds the control character U\+001B/,
    () => labelsOf('person\n\u001b[2Jx\n'),
  ],
  ['a label that turns text around', 'LABELS_INVALID', /U\+202E/, () => labelsOf('per\u202eson\n')],
  ['an empty label', 'LABELS_INVALID', /line 1 is empty/, () => labelsOf('\nperson\n')],
  ['a label of 65 characters', 'LABELS_INVALID', /65 characters exceed 64/, () => labelsOf('x'.repeat(65))],
  ['a repeated label', 'LABELS_INVALID', /stands on line 1/, () => labelsOf('person\ncar\nperson\n')],
];
