#!/usr/bin/env python3
"""Writes models/test/fixtures/coco-ap-golden.json: small random data sets and what pycocotools makes of them.

    pip install pycocotools numpy
    python benchmarks/compare/ap-golden.py

The figures are frozen in that file; run this again only to add cases. Each case is seeded.
"""
import contextlib
import io
import json
import pathlib

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

TARGET = pathlib.Path(__file__).parents[2] / 'models' / 'test' / 'fixtures' / 'coco-ap-golden.json'


def evaluate(truth, detections, categories):
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = json.loads(json.dumps(truth))
        coco.createIndex()
        found = coco.loadRes(json.loads(json.dumps(detections)))
        run = COCOeval(coco, found, 'bbox')
        run.params.catIds = categories
        run.evaluate()
        run.accumulate()
        run.summarize()
    return [float(value) for value in run.stats]


def make(seed, pictures, categories, truths, extra, *, crowd=0.0, step=None, jitter=0.15, first_id=1,
         duplicates=0.0, areas='free', silent=(), unasked=(), size=400, shuffle=True):
    """`silent` categories get no detections, `unasked` no objects; `step` quantises scores and boxes, which makes ties."""
    rng = np.random.default_rng(seed)
    ids = rng.permutation(np.arange(1, pictures + 1) * 7).tolist() if shuffle else list(range(1, pictures + 1))
    names = list(range(1, categories + 1))
    snap = (lambda box: [float(round(v / 8) * 8) for v in box]) if step else (lambda box: [float(round(v, 1)) for v in box])
    annotations, detections = [], []
    for image in ids:
        for _ in range(rng.integers(0, truths + 1)):
            side = float(np.exp(rng.uniform(np.log(8), np.log(size * .6))))
            box = snap([rng.uniform(0, size - side), rng.uniform(0, size - side), side, side * rng.uniform(.5, 1.5)])
            box[2], box[3] = max(box[2], 4.0), max(box[3], 4.0)
            category = int(rng.choice([c for c in names if c not in unasked]))
            area = {'free': box[2] * box[3] * rng.uniform(.3, 1), 'box': box[2] * box[3],
                    'edge': float(rng.choice([1024, 9216, 1023.9999, 9216.0001, box[2] * box[3]]))}[areas]
            copies = 2 if rng.random() < duplicates else 1
            for _ in range(copies):
                annotations.append(dict(id=first_id + len(annotations), image_id=image, category_id=category, bbox=box,
                                        area=round(float(area), 4), iscrowd=int(rng.random() < crowd)))
            if category in silent:
                continue
            for _ in range(rng.integers(0, 3)):
                moved = snap([box[0] + rng.normal() * jitter * box[2], box[1] + rng.normal() * jitter * box[3],
                              box[2] * np.exp(rng.normal() * jitter), box[3] * np.exp(rng.normal() * jitter)])
                moved[2], moved[3] = max(moved[2], 1.0), max(moved[3], 1.0)
                score = rng.beta(3, 2)
                detections.append(dict(image_id=image, category_id=category, bbox=moved,
                                       score=float(round(score / step) * step) if step else round(float(score), 6)))
        for _ in range(rng.integers(0, extra + 1)):
            side = float(np.exp(rng.uniform(np.log(6), np.log(size * .6))))
            box = snap([rng.uniform(0, size - side), rng.uniform(0, size - side), side, side])
            box[2], box[3] = max(box[2], 1.0), max(box[3], 1.0)
            score = rng.beta(2, 4)
            detections.append(dict(image_id=image, category_id=int(rng.choice([c for c in names if c not in silent])),
                                   bbox=box, score=float(round(score / step) * step) if step else round(float(score), 6)))
    truth = dict(images=[dict(id=image, file_name=f'{image}.jpg', width=size, height=size) for image in ids],
                 annotations=annotations, categories=[dict(id=c, name=f'class {c}') for c in names])
    return truth, detections


CASES = {
    'one class': make(1, 12, 1, 4, 3),
    'three classes, crowds, areas smaller than boxes': make(2, 16, 3, 5, 4, crowd=.3),
    'ties of scores and of overlaps, doubled objects': make(3, 16, 2, 5, 4, step=.25, duplicates=.4, crowd=.15),
    'areas at the edges of the ranges': make(4, 14, 2, 5, 3, areas='edge', crowd=.1),
    'more than 100 detections in a picture': make(5, 3, 1, 6, 260, jitter=.1),
    'a class never found, a class never there': make(6, 12, 4, 4, 3, silent=(2,), unasked=(4,)),
    'annotation ids from 0': make(7, 8, 1, 4, 2, first_id=0, jitter=.05),
    'only crowds': make(8, 6, 1, 3, 3, crowd=1.0),
    'exact boxes': make(9, 8, 2, 4, 1, jitter=0.0, areas='box', crowd=.1),
    'one picture': make(10, 1, 2, 8, 4, crowd=.2),
}

if __name__ == '__main__':
    cases = []
    for name, (truth, detections) in CASES.items():
        categories = [category['id'] for category in truth['categories']]
        cases.append(dict(
            name=name,
            # Compact: [image, category, x, y, w, h, area, crowd, id] and [image, category, x, y, w, h, score].
            images=[image['id'] for image in truth['images']],
            categories=len(categories),
            truths=[[a['image_id'], a['category_id'], *a['bbox'], a['area'], a['iscrowd'], a['id']] for a in truth['annotations']],
            detections=[[d['image_id'], d['category_id'], *d['bbox'], d['score']] for d in detections],
            stats=evaluate(truth, detections, categories),
            perCategory=[evaluate(truth, detections, [category]) for category in categories],
        ))
        print(f'{name}: {len(truth["annotations"])} objects, {len(detections)} detections, '
              + ' '.join(f'{value:.3f}' for value in cases[-1]['stats']))
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    lines = ',\n'.join(json.dumps(case, separators=(',', ':')) for case in cases)
    TARGET.write_text('{"source":"pycocotools 2.0.11, benchmarks/compare/ap-golden.py","cases":[\n' + lines + '\n]}\n')
