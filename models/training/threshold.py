#!/usr/bin/env python3
"""Picks the recommended threshold: on validation pictures and on rendered scenes held out from training, never on the
test set or the clips.

    python threshold.py --model person-v1.onnx --valid cache/valid --scenes cache/renders_held

The lowest threshold at which the precision on the validation pictures reaches --precision (their labels miss people, so
the true precision is higher) and no more than --alarms of the rendered scenes' detections are false.
"""
import argparse
import json

import cv2
import numpy as np

from data import Cache
from evaluate import Runner, iou_matrix


def outcomes(run, cache):
    """Scores of all detections, whether each is right (IoU 0.5, best score first), and the number of people."""
    scores, right, people = [], [], 0
    for k in range(len(cache)):
        boxes, s = run(cv2.cvtColor(np.ascontiguousarray(cache.pix[k]), cv2.COLOR_RGB2BGR))
        truth = cache.boxes_of[k]
        people += len(truth)
        free = np.ones(len(truth), bool)
        over = iou_matrix(boxes, truth) if len(truth) else np.zeros((len(boxes), 0))
        for j in np.argsort(-s, kind='stable'):
            rest = np.where(free, over[j], -1)
            hit = len(rest) > 0 and rest.max() >= .5
            if hit:
                free[rest.argmax()] = False
            scores.append(float(s[j]))
            right.append(bool(hit))
    return np.array(scores), np.array(right, bool), people


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument('--model', required=True)
    ap.add_argument('--valid', required=True)
    ap.add_argument('--scenes', required=True)
    ap.add_argument('--precision', type=float, default=.75)
    ap.add_argument('--alarms', type=float, default=.1)
    ap.add_argument('--threads', type=int, default=2)
    ap.add_argument('--json')
    a = ap.parse_args()
    run = Runner(a.model, 'ours', a.threads)
    sets = {name: outcomes(run, Cache(path)) for name, path in (('valid', a.valid), ('scenes', a.scenes))}
    rows, chosen = {}, None
    for t in np.arange(.2, .8, .02).round(2):
        row = {}
        for name, (scores, right, people) in sets.items():
            on = scores >= t
            row[name] = dict(recall=round(float(right[on].sum() / people), 4),
                             precision=round(float(right[on].mean()), 4) if on.any() else 1.)
        rows[f'{t:.2f}'] = row
        if chosen is None and row['valid']['precision'] >= a.precision and row['scenes']['precision'] >= 1 - a.alarms:
            chosen = float(t)
    for t, row in rows.items():
        print(t, json.dumps(row))
    print('threshold', chosen)
    if a.json:
        json.dump(dict(threshold=chosen, at=rows), open(a.json, 'w'), indent=1)


if __name__ == '__main__':
    main()
