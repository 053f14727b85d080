// LICENSE.txt of a package: what the weights are made of, who is to be credited, and the licence itself.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { repository } from './places.mjs';

const HUMAN_DATASET = `* Human Dataset v2, version 6, "provided by a Roboflow user", licensed CC BY 4.0
  (https://creativecommons.org/licenses/by/4.0/),
  https://universe.roboflow.com/human-v2/human-dataset-v2/dataset/6
  Changes: near-duplicates and synthetic pictures left out, polygons turned into boxes, both classes read as "person",
  pictures scaled and cut.`;
const TEACHER = `* YOLOX-Nano, Copyright (c) 2021-2022 Megvii Inc., licensed under the Apache License 2.0,
  https://github.com/Megvii-BaseDetection/YOLOX: what it found in the training pictures was taught or told which
  pictures show nobody. None of its weights or code is contained here.`;

/**
 * @param {string} name of the package
 * @param {Record<string, string>} provenance what the manifest says of the training; every entry is repeated
 */
export async function licenceText(name, provenance) {
  const apache = await readFile(join(repository, 'LICENSE'), 'utf8');
  const facts = Object.entries(provenance).map(([key, text]) => wrap(`* ${key}: ${text}`, '  '));
  const taught = /yolox/i.test(Object.values(provenance).join(' '));
  return `${name}: weights, labels, manifest and golden frames are licensed under the Apache License 2.0, below.

How the weights came to be:

${facts.join('\n')}

None of the training pictures is contained here. To be credited:

${[HUMAN_DATASET, ...(taught ? [TEACHER] : [])].join('\n')}

The golden frames, and the pictures that calibrated the INT8 model, were rendered by models/media/render_yard.py.

--------------------------------------------------------------------------------

${apache}`;
}

function wrap(text, indent, columns = 116) {
  const lines = [''];
  for (const word of text.split(/\s+/)) {
    const line = lines.at(-1);
    if (line !== '' && line.length + 1 + word.length > columns) lines.push(indent + word);
    else lines[lines.length - 1] = line === '' ? word : `${line} ${word}`;
  }
  return lines.join('\n');
}
