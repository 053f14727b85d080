// The models of the comparison. Manifests of the two third-party models are written from their projects' documentation;
// `resize` and `anchor` follow each project's own preprocessing.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'yaml';

const COCO_LABELS =
  'person,bicycle,car,motorcycle,airplane,bus,train,truck,boat,traffic light,fire hydrant,stop sign,parking meter,bench,' +
  'bird,cat,dog,horse,sheep,cow,elephant,bear,zebra,giraffe,backpack,umbrella,handbag,tie,suitcase,frisbee,skis,snowboard,' +
  'sports ball,kite,baseball bat,baseball glove,skateboard,surfboard,tennis racket,bottle,wine glass,cup,fork,knife,spoon,' +
  'bowl,banana,apple,sandwich,orange,broccoli,carrot,hot dog,pizza,donut,cake,chair,couch,potted plant,bed,dining table,' +
  'toilet,tv,laptop,mouse,remote,keyboard,cell phone,microwave,oven,toaster,sink,refrigerator,book,clock,vase,scissors,' +
  'teddy bear,hair drier,toothbrush';

/** @returns {Promise<{name: string, file: string, input: object, decoder: object, nms: object, labels: string[]}[]>} */
export async function comparedModels(repository, shared) {
  const own = join(repository, 'models', 'zoo', 'person-detector-fp32');
  const manifest = parse(await readFile(join(own, 'manifest.yaml'), 'utf8'));
  const labels = (await readFile(join(own, manifest.labels), 'utf8')).trim().split('\n');
  const material = join(shared, 'material', 'models');
  return [
    {
      name: `${manifest.name} ${manifest.version}`,
      file: join(own, manifest.model.file),
      input: manifest.input,
      decoder: manifest.decoder,
      nms: manifest.nms,
      labels,
    },
    {
      // https://github.com/Megvii-BaseDetection/YOLOX, demo/ONNXRuntime: BGR 0..255, top left, padded with 114
      name: 'YOLOX-Nano 416',
      file: join(material, 'yolox_nano_416_coco.onnx'),
      input: {
        name: 'images',
        width: 416,
        height: 416,
        layout: 'NCHW',
        color: 'BGR',
        dtype: 'float32',
        resize: 'letterbox',
        anchor: 'top-left',
        pad: 114,
      },
      decoder: { type: 'yolox', outputs: { predictions: 'output' } },
      nms: { iou: 0.65, perClass: true, maxDetections: 100 },
      labels: COCO_LABELS.split(','),
    },
    {
      // https://github.com/RangiLyu/nanodet, config/legacy_v0.x_configs/nanodet-m.yml: keep_ratio false, NMS 0.6
      name: 'NanoDet-m 320',
      file: join(material, 'nanodet_m_320_coco.onnx'),
      input: {
        name: 'image',
        width: 320,
        height: 320,
        layout: 'NCHW',
        color: 'BGR',
        dtype: 'float32',
        mean: [103.53, 116.28, 123.675],
        std: [57.375, 57.12, 58.395],
        resize: 'stretch',
      },
      // the file names its outputs in another order than it gives them: three scores [N, 80], three distributions [N, 32]
      decoder: {
        type: 'nanodet',
        strides: [8, 16, 32],
        outputs: {
          scores: ['cls_score0', 'bbox_pred0', 'cls_score1'],
          distributions: ['bbox_pred1', 'cls_score2', 'bbox_pred2'],
        },
      },
      nms: { iou: 0.6, perClass: true, maxDetections: 100 },
      labels: COCO_LABELS.split(','),
    },
  ];
}
