#!/usr/bin/env python3
"""The 96 x 96 person / no-person classifier: cuts its pictures from the detector's caches, trains, measures, exports.

    python classifier.py crops --cache cache/train --teacher yolox_nano_416_coco.onnx --out cache/crops_train
    python classifier.py crops --cache cache/valid --teacher yolox_nano_416_coco.onnx --out cache/crops_valid
    python classifier.py train --train cache/crops_train --valid cache/crops_valid --out classifier --minutes 8

A crop with a person is a square around a labelled box, with margin and jitter. One without lies where no label
and no box of the teacher (score .1 and up) reaches: the labels alone miss people. Both classes have the same number
and the same distribution of sizes. The network holds dense 3x3 convolutions with BatchNorm and ReLU only.

Input `image` float32 [1, 3, 96, 96] RGB 0..255, output `logits` float32 [1, 2]: no person, person.
"""
import argparse
import copy
import json
import math
import os
import time
import warnings

import cv2
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from data import Cache, colour
from model import INPUT_SCALE, ConvBN

SIDE, STORED = 96, 112          # network input; crops are kept a little larger, for shifts in training
LABELS = ('no-person', 'person')


class PersonOrNot(nn.Module):
    def __init__(self, widths=(12, 24, 40, 48)):
        super().__init__()
        layers, before = [ConvBN(3, widths[0], 3, 2)], widths[0]
        for w in widths[1:]:
            layers += [ConvBN(before, w, 3, 2), ConvBN(w, w)]
            before = w
        self.body = nn.Sequential(*layers)
        self.head = nn.Conv2d(before, 2, 1)
        self.scale_input = True

    def forward(self, x):
        x = self.body(x * INPUT_SCALE if self.scale_input else x)
        return self.head(F.adaptive_avg_pool2d(x, 1)).flatten(1)


# ------------------------------------------------------------------ pictures
def reaches(square, boxes):
    """Share of each box that lies in the square."""
    wh = np.minimum(square[2:], boxes[:, 2:]) - np.maximum(square[:2], boxes[:, :2])
    return wh.clip(0).prod(1) / np.maximum((boxes[:, 2:] - boxes[:, :2]).prod(1), 1e-6)


def cut(pix, square):
    """The square (pixels, inside the picture) as STORED x STORED."""
    x0, y0, x1, y1 = square
    z = STORED / (x1 - x0)
    m = np.array([[z, 0, -x0 * z], [0, z, -y0 * z]])
    m[:, 2] += .5 * (z - 1)
    if z < .6:          # blur before a strong reduction
        pix = cv2.blur(pix, (round(1 / z),) * 2)
    return cv2.warpAffine(pix, m, (STORED, STORED), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def square_in(centre, side, limit):
    """A square as near to `centre` as the picture allows: a border would give the class away."""
    corner = np.clip(centre - side / 2, 0, limit - side)
    return np.array([*corner, *(corner + side)])


def crops(cache, teacher, seed=0, per_picture=4, least=28):
    """Returns uint8 [N, STORED, STORED, 3] and classes [N], as many of one as of the other."""
    from evaluate import select
    rng = np.random.default_rng(seed)
    found, sides = ([], []), []
    for k in range(len(cache)):
        pix = np.ascontiguousarray(cache.pix[k])
        s = pix.shape[0]
        labelled = cache.boxes_of[k] * s
        guessed = np.zeros((0, 4), np.float32)
        if teacher:
            score, box, _ = teacher(pix[None])
            guessed = select(box[0] / s, score[0], floor=.1)[0] * s
        everyone = np.concatenate([labelled, guessed])
        large = [b for b in labelled if max(b[2:] - b[:2]) >= least]
        for b in [large[i] for i in rng.permutation(len(large))[:per_picture]]:
            side = float(min(max(b[2:] - b[:2]) * rng.uniform(1.05, 2.0), s))
            room = np.maximum(side - (b[2:] - b[:2]), side * .1)
            square = square_in((b[:2] + b[2:]) / 2 + rng.uniform(-.5, .5, 2) * room, side, s)
            if reaches(square, b[None])[0] > .6:
                found[1].append(cut(pix, square))
                sides.append(side)
        for _ in range(per_picture):
            seen = []
            for _ in range(16):
                side = float(sides[rng.integers(len(sides))]) if sides else s * .4
                square = square_in(rng.uniform(0, s, 2), side, s)
                if not len(everyone) or reaches(square, everyone).max() == 0:
                    seen.append(cut(pix, square))
                if len(seen) == 3:
                    break
            if seen:        # the busiest of three: bare sky and walls teach little
                found[0].append(max(seen, key=lambda p: p.std()))
    n = min(len(f) for f in found)
    kept = [np.stack([f[i] for i in rng.permutation(len(f))[:n]]) for f in found]
    return np.concatenate(kept), np.repeat(np.arange(2), n)


def batch_of(rng, pictures, numbers):
    out = np.empty((len(numbers), SIDE, SIDE, 3), np.uint8)
    for j, i in enumerate(numbers):
        w = rng.uniform(.78, 1.) * STORED
        h = float(np.clip(w * math.exp(rng.uniform(-.2, .2)), .7 * STORED, STORED))
        x, y = rng.uniform(0, STORED - w), rng.uniform(0, STORED - h)
        m = np.array([[SIDE / w, 0, -x * SIDE / w], [0, SIDE / h, -y * SIDE / h]])
        im = cv2.warpAffine(pictures[i], m, (SIDE, SIDE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        if rng.random() < .5:
            im = cv2.flip(im, 1)
        im = colour(rng, im, .8, swap=0.)
        if rng.random() < .15:      # something stands before it
            a, b = rng.integers(0, SIDE - 24, 2)
            im[a:a + rng.integers(12, 25), b:b + rng.integers(12, 25)] = rng.integers(0, 256, 3)
        out[j] = im
    return torch.from_numpy(out).permute(0, 3, 1, 2).float()


def centre(pictures):
    """The middle of each stored crop, as the network takes it."""
    out = np.stack([cv2.resize(p, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for p in pictures])
    return torch.from_numpy(out).permute(0, 3, 1, 2).float().contiguous(memory_format=torch.channels_last)


# ------------------------------------------------------------------ training
@torch.no_grad()
def measure(net, pictures, labels):
    net.eval()
    logits = torch.cat([net(centre(pictures[k:k + 100])) for k in range(0, len(pictures), 100)])
    said, labels = logits.argmax(1).numpy(), np.asarray(labels)
    confusion = [[int(((labels == t) & (said == p)).sum()) for p in range(2)] for t in range(2)]
    return dict(accuracy=round(float((said == labels).mean()), 4), crops=len(labels), confusion=confusion,
                recall_person=round(confusion[1][1] / max(1, sum(confusion[1])), 4),
                precision_person=round(confusion[1][1] / max(1, confusion[0][1] + confusion[1][1]), 4))


def train(a):
    torch.manual_seed(a.seed)
    torch.set_num_threads(a.threads)
    rng = np.random.default_rng(a.seed)
    pieces = [np.load(p + '.npz') for p in a.train]
    pictures = np.concatenate([p['pictures'] for p in pieces])
    labels = np.concatenate([p['labels'] for p in pieces])
    held = np.load(a.valid + '.npz')
    net = PersonOrNot().to(memory_format=torch.channels_last)
    ema = copy.deepcopy(net)
    opt = torch.optim.AdamW(net.parameters(), lr=a.lr, weight_decay=.02)
    start, it, seen = time.time(), 0, 0
    while (done := (time.time() - start) / 60 / a.minutes) < 1:
        for g in opt.param_groups:
            g['lr'] = a.lr * (.01 + .99 * .5 * (1 + math.cos(math.pi * done))) * min(1, (it + 1) / 100)
        pick = rng.integers(0, len(labels), a.batch)
        x = batch_of(rng, pictures, pick).contiguous(memory_format=torch.channels_last)
        net.train()
        loss = F.cross_entropy(net(x), torch.from_numpy(labels[pick]), label_smoothing=.05)
        opt.zero_grad()
        loss.backward()
        opt.step()
        it, seen = it + 1, seen + a.batch
        decay = min(.998, (1 + it) / (20 + it))
        with torch.no_grad():
            for e, p in zip(ema.state_dict().values(), net.state_dict().values()):
                e.lerp_(p, 1 - decay) if e.dtype.is_floating_point else e.copy_(p)
        if it % 200 == 0:
            print(f'{(time.time() - start) / 60:5.1f} min  it {it}  loss {loss.item():.3f}', flush=True)
        if it % 1000 == 0:
            print(measure(ema, held['pictures'], held['labels']), flush=True)
    figures = dict(trained_on=len(labels), seen=seen, epochs=round(seen / len(labels), 1),
                   parameters=sum(p.numel() for p in net.parameters()),
                   valid=measure(ema, held['pictures'], held['labels']))
    os.makedirs(a.out, exist_ok=True)
    torch.save(dict(model=ema.state_dict(), **figures), os.path.join(a.out, 'person-classifier.pt'))
    export(ema, os.path.join(a.out, 'person-classifier-fp32.onnx'))
    figures['bytes'] = os.path.getsize(os.path.join(a.out, 'person-classifier-fp32.onnx'))
    print(json.dumps(figures))
    with open(os.path.join(a.out, 'person-classifier.json'), 'w') as f:
        json.dump(dict(figures, labels=LABELS, confusion_rows='truth', confusion_columns='answer'), f, indent=1)


def export(net, path):
    import onnx
    net = copy.deepcopy(net).eval()
    x = torch.rand(1, 3, SIDE, SIDE) * 255
    with torch.no_grad():
        want = net(x)
    for m in net.modules():
        if isinstance(m, ConvBN):
            m[0], m[1] = fuse_conv_bn_eval(m[0], m[1]), nn.Identity()
    net.body[0][0].weight.data.mul_(INPUT_SCALE)        # exact: no mean is subtracted, so padding stays zero
    net.scale_input = False
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter('ignore')
        assert (net(x) - want).abs().max() < 1e-3
        torch.onnx.export(net, x, path, opset_version=13, input_names=['image'], output_names=['logits'], dynamo=False)
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    model.producer_name = 'person-classifier'
    model.doc_string = 'Person / no person; see README.md for data attribution (CC BY 4.0).'
    onnx.save(model, path)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sub = ap.add_subparsers(dest='cmd', required=True)
    p = sub.add_parser('crops')
    p.add_argument('--cache', required=True)
    p.add_argument('--teacher', help='YOLOX-Nano as ONNX; without it the labels alone say where nobody is')
    p.add_argument('--out', required=True)
    p.add_argument('--seed', type=int, default=0)
    p = sub.add_parser('train')
    p.add_argument('--train', nargs='+', required=True)
    p.add_argument('--valid', required=True)
    p.add_argument('--out', required=True)
    p.add_argument('--minutes', type=float, default=8)
    p.add_argument('--batch', type=int, default=64)
    p.add_argument('--lr', type=float, default=3e-3)
    p.add_argument('--threads', type=int, default=1)
    p.add_argument('--seed', type=int, default=0)
    a = ap.parse_args()
    if a.cmd == 'train':
        return train(a)
    from teacher import Teacher
    pictures, labels = crops(Cache(a.cache), Teacher(a.teacher) if a.teacher else None, a.seed)
    np.savez(a.out + '.npz', pictures=pictures, labels=labels)
    print(f'{a.out}: {len(labels)} crops, half of them with a person')


if __name__ == '__main__':
    main()
