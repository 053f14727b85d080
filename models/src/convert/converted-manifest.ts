import type { Manifest } from '../package/manifest.js';
import type { ConvertedGraph } from './convert-onnx.js';
import type { WeightFormat } from './weight-file.js';

const PRECISION = { float32: 'fp32', float16: 'fp16', uint8: 'int8' } as const;

/**
 * The manifest of the converted model: the same decoder, thresholds and golden frames; another engine, file and layout. The
 * version gets a suffix, since two packages of one name and version must be one package. What was timed with the other engine
 * is left out of `metrics`.
 */
export function convertedManifest(
  manifest: Manifest,
  model: { file: string; sha256: string; weights: WeightFormat; input: ConvertedGraph['input'] },
): Manifest {
  const { name, width, height } = model.input;
  const metrics = manifest.metrics?.filter((entry) => !Object.keys(entry).some((key) => /latency|runtime/i.test(key)));
  return {
    ...manifest,
    version: suffixed(manifest.version, model.weights),
    provenance: {
      ...manifest.provenance,
      conversion: `vigie-models convert --to tfjs --weights ${model.weights}, from version ${manifest.version} (model ${manifest.model.sha256})`,
    },
    model: { file: model.file, engine: 'tfjs', precision: PRECISION[model.weights], sha256: model.sha256 },
    input: { ...manifest.input, name, width, height, layout: 'NHWC', dtype: 'float32' },
    ...(metrics === undefined ? {} : { metrics }),
  };
}

/** `1.2.0` → `1.2.0-tfjs`, `1.2.0-rc.1+b` → `1.2.0-rc.1.tfjs.float16+b`. */
function suffixed(version: string, weights: WeightFormat): string {
  const [core, ...build] = version.split('+');
  const form = weights === 'float32' ? 'tfjs' : `tfjs.${weights}`;
  return [`${core}${core.includes('-') ? '.' : '-'}${form}`, ...build].join('+');
}
