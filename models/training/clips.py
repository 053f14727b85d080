#!/usr/bin/env python3
"""The detector on fixed-camera clips.

    python clips.py --model person-v1.onnx --truth yard.boxes.json yard.mp4
    python clips.py --model person-v1.onnx --visits 64-192,229-446 room.mp4     # frames with a person, from 1
    python clips.py --model person-v1.onnx --visits '' cars.mp4                 # nobody in it

With --truth: recall and precision per threshold, counted as `vigie-models` does (evaluate/clip-score.ts): IoU 0.5,
best score first, each to the free person it overlaps most; people seen to less than 0.3 count neither way.
With --visits: per threshold, the visits seen (half of their frames at least, so that one lucky frame is not a visit),
the share of their frames with a detection, the alarms in the empty frames, and the longest row of such. A visit's
borders are not exact: 5 frames beside each count neither way.
"""
import argparse
import json

import cv2
import numpy as np

from evaluate import Runner, iou_matrix

THRESHOLDS = [round(.2 + .05 * k, 2) for k in range(11)]


def frames(path, every=1):
    video, k = cv2.VideoCapture(path), 0
    while True:
        fine, im = video.read()
        if not fine:
            return
        if k % every == 0:
            yield k, im
        k += 1


def score_clip(found, truth, threshold, iou=.5, least=.3):
    """found: per frame (boxes 0..1, scores). Returns recall, precision."""
    tp = fp = fn = 0
    unit = np.array([truth['width'], truth['height']] * 2)
    for frame in truth['frames']:
        people = np.array([p['box'] for p in frame['persons']], float).reshape(-1, 4) / unit
        counted = np.array([p['visible'] >= least for p in frame['persons']], bool)
        taken = np.zeros(len(people), bool)
        boxes, scores = found.get(frame['index'], (np.zeros((0, 4)), np.zeros(0)))
        keep = np.flatnonzero(scores >= threshold)
        for k in keep[np.argsort(-scores[keep], kind='stable')]:
            over = iou_matrix(boxes[k:k + 1], people)[0] if len(people) else np.zeros(0)
            free = [j for j in range(len(people)) if not taken[j] and over[j] >= iou]
            if not free:
                fp += 1
                continue
            j = max(free, key=lambda j: (counted[j], over[j]))
            taken[j] = True
            tp += int(counted[j])
        fn += int((counted & ~taken).sum())
    return tp / max(1, tp + fn), tp / max(1, tp + fp)


def score_visits(top, visits, threshold, margin=5):
    """top: {frame number from 1: best score}."""
    on = {k: s >= threshold for k, s in top.items()}
    inside = [[on[k] for k in on if a <= k <= b] for a, b in visits]
    empty = [on[k] for k in sorted(on) if all(k < a - margin or k > b + margin for a, b in visits)]
    longest = row = 0
    for alarm in empty:
        row = row + 1 if alarm else 0
        longest = max(longest, row)
    return dict(visits_seen=sum(bool(v) and sum(v) >= len(v) / 2 for v in inside), visits=len(visits),
                share_of_their_frames=round(float(np.mean(sum(inside, []))), 4) if visits else None,
                alarms=int(sum(empty)), empty_frames=len(empty), longest_alarm=longest)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument('clip')
    ap.add_argument('--model', required=True)
    ap.add_argument('--kind', default='ours', choices=('ours', 'yolox', 'nanodet'))
    ap.add_argument('--truth', help='boxes per frame (yard.boxes.json)')
    ap.add_argument('--visits', help='A-B,A-B,...: frames with a person')
    ap.add_argument('--every', type=int, default=1, help='look at every nth frame')
    ap.add_argument('--threads', type=int, default=2)
    ap.add_argument('--json')
    a = ap.parse_args()
    run = Runner(a.model, a.kind, a.threads)
    found = {k: run(im) for k, im in frames(a.clip, a.every)}
    rows = {}
    if a.truth:
        truth = json.load(open(a.truth))
        truth['frames'] = [f for f in truth['frames'] if f['index'] % a.every == 0]
        for t in THRESHOLDS:
            recall, precision = score_clip(found, truth, t)
            rows[f'{t:.2f}'] = dict(recall=round(recall, 4), precision=round(precision, 4))
    else:
        visits = [tuple(int(v) for v in p.split('-')) for p in (a.visits or '').split(',') if p]
        top = {k + 1: float(s.max()) if len(s) else 0. for k, (_, s) in found.items()}
        for t in THRESHOLDS:
            rows[f'{t:.2f}'] = score_visits(top, visits, t)
    for t, row in rows.items():
        print(t, json.dumps(row))
    if a.json:
        json.dump(rows, open(a.json, 'w'), indent=1)


if __name__ == '__main__':
    main()
