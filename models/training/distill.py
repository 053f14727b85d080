"""What the student learns from the teacher besides the labels (which are noisy and incomplete).

Scores: binary cross-entropy against the teacher's person score, weighted by how far the two are apart, so that the
many easy places do not drown the rest. Boxes: CIoU against the teacher's box where it is sure. Features: the teacher's
64 channels per place, predicted from ours by a 1x1 convolution that is thrown away after training; both are normalised
per channel first, so that only their pattern counts (Pearson correlation: Cao et al., PKD, NeurIPS 2022).
"""
import torch
import torch.nn as nn
import torch.nn.functional as F

from model import ciou, decode
from teacher import FEATURES

# Teacher scores from here on: its box is learned, and a missing label is no reason to call the place background.
SURE = .3


class Adapter(nn.Module):
    def __init__(self, width, levels=3):
        super().__init__()
        self.lift = nn.ModuleList(nn.Conv2d(width, FEATURES, 1) for _ in range(levels))

    def forward(self, features):
        """Feature maps per level -> [B, 64, N]"""
        return torch.cat([m(f).flatten(2) for m, f in zip(self.lift, features)], 2)


def normalised(x):
    """[B, C, N]: mean 0 and variance 1 per channel over the batch."""
    mean = x.mean((0, 2), keepdim=True)
    return (x - mean) / (x.var((0, 2), keepdim=True, unbiased=False) + 1e-4).sqrt()


def distill_loss(logits, dist, ours, pts, st, score, box, features, use):
    """logits [B, N, 1], dist [B, N, 4], ours [B, 64, N]; teacher: score [B, N], box [B, N, 4] px, features [B, 64, N];
    use [B]: 0 where the teacher is not to be listened to (rendered pictures: their labels are exact).
    Returns the three parts."""
    logits = logits[..., 0].float()
    p = logits.sigmoid()
    on = use[:, None]
    total = (score * on * (score > .05)).sum().clamp(min=1.)
    weight = (score - p.detach()).abs() ** 1.5 * on
    cls = (F.binary_cross_entropy_with_logits(logits, score, reduction='none') * weight).sum() / total
    sure = (score * on) > SURE
    if sure.any():
        s = st[:, 0][None].expand_as(sure)[sure][:, None]
        w = score[sure]
        mine = decode(dist.float(), pts, st)[sure]
        reg = ((1 - ciou(mine / s, box[sure] / s)) * w).sum() / w.sum()
    else:
        reg = dist.sum() * 0
    # every level weighs the same, and places with a person more than the rest
    cuts = torch.unique_consecutive(st[:, 0], return_counts=True)[1].tolist()
    level = torch.cat([torch.full((n,), 1. / n, device=score.device) for n in cuts])
    w = level[None] * (1 + 4 * score) * on
    apart = torch.cat([(normalised(a) - normalised(b)) ** 2 for a, b in
                       zip(ours.split(cuts, 2), features.split(cuts, 2))], 2).mean(1)
    feat = (apart * w).sum() / w.sum().clamp(min=1e-6)
    return cls, reg, feat
