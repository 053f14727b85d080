// Writes package folders: manifest, labels, licence, golden frames around a model file that is already there.
import { copyFile, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { stringify } from 'yaml';
import { openPackageDirectory } from '../../dist/package/package.js';
import { expectedDetections, TOLERANCE } from './golden-frames.mjs';
import { licenceText } from './licence.mjs';
import { measuredFile, readJson, sha256 } from './places.mjs';

/**
 * Writes all but the model file and the golden detections. `golden`: [path, name in the package] of each frame;
 * `training`: what the provenance says of the training. Gives the manifest.
 */
export async function writePackage(directory, { manifest, labels, golden, training, figures }) {
  const bytes = await readFile(join(directory, manifest.model.file));
  await writeFile(join(directory, 'labels.txt'), labels.map((label) => `${label}\n`).join(''));
  await writeFile(join(directory, 'LICENSE.txt'), await licenceText(manifest.name, training));
  await rm(join(directory, 'golden'), { recursive: true, force: true });
  await mkdir(join(directory, 'golden'));
  for (const [from, name] of golden) await copyFile(from, join(directory, 'golden', name));
  const tolerance = TOLERANCE[manifest.task];
  const whole = withMetrics(
    {
      ...manifest,
      model: { ...manifest.model, sha256: sha256(bytes) },
      golden: golden.map(([, name]) => ({ file: `golden/${name}`, detections: [], tolerance })),
    },
    figures,
  );
  await writeManifest(directory, whole);
  return whole;
}

/** The figures of a package: those of its training, then those that measured.json holds for its model file. */
export async function figuresOf(directory, training, file = 'model.onnx') {
  const digest = sha256(await readFile(join(directory, file)));
  const found = (await readJson(measuredFile, {})).packages?.[digest];
  return [...training, ...(found ?? [])];
}

/** Fills in what the golden frames must show: what this very package finds. */
export async function writeGolden(directory, manifest) {
  await writeManifest(directory, { ...manifest, golden: await expectedDetections(directory, manifest.golden) });
}

/** `metrics` after the fields that describe the model, as every manifest of the zoo has them. */
export function withMetrics({ metrics: _, golden, ...rest }, figures) {
  return { ...rest, ...(figures.length > 0 ? { metrics: figures } : {}), golden };
}

export async function writeManifest(directory, manifest) {
  const text = stringify(manifest, { lineWidth: 120, aliasDuplicateObjects: false });
  await writeFile(join(directory, 'manifest.yaml'), text);
}

/** Puts the built folder where the shipped one stands. */
export async function install(from, to) {
  await openPackageDirectory(from);
  await rm(to, { recursive: true, force: true });
  for (const file of await readdir(from, { recursive: true, withFileTypes: true })) {
    if (!file.isFile()) continue;
    const path = join(file.parentPath, file.name);
    const target = join(to, path.slice(from.length + 1));
    await mkdir(dirname(target), { recursive: true });
    await copyFile(path, target);
  }
  const { manifest, digest } = await openPackageDirectory(to);
  const { name, version, model, metrics, golden } = manifest;
  console.error(
    `${basename(to)}: ${name} ${version} ${model.engine} ${model.precision}, ${golden.length} golden frames, ` +
      `${metrics ? `${metrics.length} figures` : 'no figures yet (measure-zoo.mjs adds them)'}, digest ${digest}`,
  );
}
