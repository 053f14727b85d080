// What a model finds on a data set, in the form the bootstrap wants: matched as pycocotools matches, one category.

import { rankDetections } from '@vigie/models/evaluate/coco-accumulate';
import { linspace } from '@vigie/models/evaluate/coco-ap';
import { matchCell } from '@vigie/models/evaluate/coco-match';
import { pixelDetections } from '@vigie/models/evaluate/detector-result';
import { detectAll } from '@vigie/models/quantize/max-drop-judge';

const IOU_THRESHOLDS = [...linspace(0.5, 0.95, 10)];
const MAX_DETECTIONS = 100;

/**
 * @param {{input: object, decoder: object, nms: object, labels: string[]}} model
 * @param {{bytes: Uint8Array, inputType: 'uint8' | 'float32'}} judged
 * @param {import('@vigie/models/evaluate/dataset').BoxDataset} dataset
 * @param {string} category
 * @returns {Promise<{ranked: import('./quantization-bootstrap.mjs').Ranked, positives: Uint32Array}>}
 */
export async function scoreModel(model, judged, dataset, category) {
  const wanted = dataset.categories.indexOf(category);
  const classId = model.labels.indexOf(category);
  const reading = {
    labels: model.labels,
    manifest: {
      task: 'detect',
      model: { file: `${model.name}.onnx` },
      input: model.input,
      decoder: model.decoder,
      // other classes must not use up the room of this one
      nms: { ...model.nms, maxDetections: 1000 },
      thresholds: { default: 0.01 },
    },
  };
  const files = dataset.pictures.map(({ file }) => file);
  const found = await detectAll(reading, judged, files);
  const categoryOf = model.labels.map((_, id) => (id === classId ? 0 : -1));
  const cells = dataset.pictures.map((picture, i) =>
    matchCell(
      {
        truths: picture.truths.filter((truth) => truth.category === wanted),
        detections: pixelDetections(found[i], categoryOf, picture),
      },
      IOU_THRESHOLDS,
      [[0, 1e10]],
      MAX_DETECTIONS,
    ),
  );
  return { ranked: withPictures(cells), positives: Uint32Array.from(cells, (cell) => cell.positives[0]) };
}

/** Ranked as pycocotools ranks, with the picture of each detection. */
function withPictures(cells) {
  const ranked = rankDetections(cells, 1);
  const places = cells.flatMap(({ scores }, picture) => Array.from(scores, (score) => ({ picture, score })));
  // the same stable order: score, then picture, then place
  places.sort((a, b) => b.score - a.score);
  return {
    pictures: Uint32Array.from(places, ({ picture }) => picture),
    matched: ranked.matched[0],
    ignored: ranked.ignored[0],
  };
}
