#!/usr/bin/env python3
"""The twelve figures of pycocotools for saved detections, as one JSON document.

    python ap-pycocotools.py ANNOTATIONS.json DETECTIONS.json 'CATEGORY NAMES AS JSON'
"""
import contextlib
import importlib.metadata
import io
import json
import sys
import time

from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

annotations, detections, names = sys.argv[1:4]
start = time.perf_counter()
with contextlib.redirect_stdout(io.StringIO()):
    coco = COCO(annotations)
    run = COCOeval(coco, coco.loadRes(detections), 'bbox')
    wanted = json.loads(names)
    run.params.catIds = [c['id'] for c in coco.dataset['categories'] if c['name'] in wanted]
    run.evaluate()
    run.accumulate()
    run.summarize()
print(json.dumps(dict(
    version=importlib.metadata.version('pycocotools'),
    seconds=round(time.perf_counter() - start, 2),
    stats=[float(value) for value in run.stats],
)))
