"""Which of a detector's places answers for which labelled box, and how wrong it is. Tensors alone; imports torch.

A place is known by the box that it says: its centre is where the place lies. So any detector is trained alike that says
a box and scores for each place, whatever its grids or queries are.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional

PLACES = 10
"""Places that answer for one box, at most (Feng et al. 2021, arXiv 2108.07755, section 4.1, have 13)."""

SURE, TIGHT = 0.5, 6.0
"""Powers of score and overlap in how well a place suits a box (Feng et al. 2021, equation 4; score as in YOLOv8)."""

EPSILON = 1e-7

NEAR, SIDES = 2.0, 5.0
"""What the generalised overlap of boxes weighs, and the distance of their sides, beside 1 of the classes (Carion et al.
2020, appendix A.4)."""

LEARNING = 0.05
"""What the box of a place weighs at least, that it may come nearer while it overlaps nothing yet."""


@dataclass(frozen=True)
class Assigned:
    """What places should say.

    Attributes:
        classes: What each place's score of each class should be, in [0, 1]; shape [rows, places, classes].
        boxes: The box of each place, shape [rows, places, 4]; of no meaning where `weights` is 0.
        weights: How much each place's box counts, shape [rows, places].
    """

    classes: torch.Tensor
    boxes: torch.Tensor
    weights: torch.Tensor


def edges(boxes: torch.Tensor) -> torch.Tensor:
    """Left, top, right, bottom of boxes given by centre and sides."""
    half = boxes[..., 2:] / 2
    return torch.cat([boxes[..., :2] - half, boxes[..., :2] + half], -1)


def overlap(ours: torch.Tensor, theirs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Intersection over union, and its generalised form that is negative for boxes far apart (Rezatofighi et al. 2019,
    arXiv 1902.09630); the boxes' shapes [..., 4] are broadcast.
    """
    one, other = edges(ours), edges(theirs)
    inner = (torch.minimum(one[..., 2:], other[..., 2:]) - torch.maximum(one[..., :2], other[..., :2])).clamp(min=0)
    outer = torch.maximum(one[..., 2:], other[..., 2:]) - torch.minimum(one[..., :2], other[..., :2])
    common, hull = inner.prod(-1), outer.prod(-1)
    union = ours[..., 2:].prod(-1) + theirs[..., 2:].prod(-1) - common
    iou = common / (union + EPSILON)
    return iou, iou - (hull - union) / (hull + EPSILON)


def assign(
    scores: torch.Tensor, said: torch.Tensor, labels: torch.Tensor, boxes: torch.Tensor, *, several: bool
) -> Assigned:
    """The places that answer for each box: those that suit it best already (Feng et al. 2021, arXiv 2108.07755, TOOD).

    Args:
        scores: Each place's probability of each class, [rows, places, classes].
        said: Each place's box, [rows, places, 4].
        labels: Class of each labelled box, -1 for none; [rows, boxes].
        boxes: Labelled boxes, [rows, boxes, 4].
        several: Whether several places answer for a box, so that suppression must choose; else one does.
    """
    there = labels >= 0
    sure = scores.gather(2, labels.clamp(min=0)[:, None, :].expand(-1, scores.shape[1], -1)).transpose(1, 2)
    iou = overlap(said[:, None], boxes[:, :, None])[0].clamp(0, 1)
    suits = sure.clamp(min=EPSILON) ** SURE * iou**TIGHT
    chosen = _several(suits, said, boxes) if several else _one(sure, said, boxes, there)
    chosen &= there[..., None]
    # A place answers for one box: the one that it overlaps most.
    owner = torch.where(chosen, iou + 1, 0).argmax(1)
    chosen &= owner[:, None] == torch.arange(boxes.shape[1], device=owner.device)[None, :, None]
    suits = torch.where(chosen, suits, 0)
    # The best place of a box should be as sure as it overlaps it.
    share = suits / (suits.amax(2, keepdim=True) + EPSILON**3)
    wanted = share * torch.where(chosen, iou, 0).amax(2, keepdim=True)
    weights = torch.where(chosen, wanted, 0).sum(1) if several else chosen.any(1).float()
    taken = labels.clamp(min=0).gather(1, owner)
    classes = functional.one_hot(taken, scores.shape[2]) * weights[..., None]
    weights = torch.where(chosen.any(1), weights.clamp(min=LEARNING), 0)
    return Assigned(classes, boxes.gather(1, owner[..., None].expand(-1, -1, 4)), weights)


def _apart(said: torch.Tensor, boxes: torch.Tensor) -> torch.Tensor:
    """How far each place lies from a box's centre, in halves of its sides: up to 1 it lies within; [rows, boxes,
    places].
    """
    away = (said[:, None, :, :2] - boxes[:, :, None, :2]).abs() * 2 / (boxes[:, :, None, 2:] + EPSILON)
    return away.amax(-1)


def _several(suits: torch.Tensor, said: torch.Tensor, boxes: torch.Tensor) -> torch.Tensor:
    """Up to `PLACES` that lie within a box and suit it best, and the nearest one wherever it lies."""
    away = _apart(said, boxes)
    within = torch.where(away < 1, suits + EPSILON**2, 0)
    best, places = within.topk(min(PLACES, suits.shape[2]), dim=2)
    chosen = torch.zeros_like(within, dtype=torch.bool).scatter(2, places, best > 0)
    return chosen.scatter(2, away.argmin(2, keepdim=True), True)


def _one(sure: torch.Tensor, said: torch.Tensor, boxes: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
    """One place for each box and one box for each place, by what queries are matched by (Carion et al. 2020, arXiv
    2005.12872, section 3.1), but the pair that suits best first, as Sun et al. 2020 (arXiv 2012.05780) choose.
    """
    cost = (apart(said[:, None], boxes[:, :, None]) - sure).masked_fill(~there[..., None], torch.inf)
    chosen, rows = torch.zeros_like(cost, dtype=torch.bool), torch.arange(len(cost), device=cost.device)
    for _ in range(min(cost.shape[1:])):
        best = cost.flatten(1).argmin(1)
        box, place = best // cost.shape[2], best % cost.shape[2]
        chosen[rows, box, place] = torch.isfinite(cost[rows, box, place])
        cost[rows, box], cost[rows, :, place] = torch.inf, torch.inf
    return chosen


def criterion(logits: torch.Tensor, said: torch.Tensor, labelled: torch.Tensor) -> torch.Tensor:
    """How wrong a detector is, a scalar in float32: of classes by binary cross entropy, of boxes by their generalised
    overlap and the distance of their sides.

    Args:
        logits: [rows, places, classes], or one more for nothing, which comes last.
        said: Each place's box, [rows, places, 4].
        labelled: 1 for the class of each labelled box, and the box; [rows, boxes, classes + 4], zeros for none.
    """
    kinds, boxes, said = labelled[..., :-4], labelled[..., -4:], said.float()
    scores = independent(logits, kinds.shape[2])
    with torch.no_grad():
        labels = torch.where(kinds.any(2), kinds.argmax(2), -1)
        several = logits.shape[2] == kinds.shape[2]
        wanted = assign(scores.sigmoid(), said, labels, boxes, several=several)
    total = wanted.weights.sum().clamp(min=1)
    named = functional.binary_cross_entropy_with_logits(scores, wanted.classes, reduction="sum")
    return (named + (apart(said, wanted.boxes) * wanted.weights).sum()) / total


def divergence(ours: torch.Tensor, theirs: torch.Tensor) -> torch.Tensor:
    """How far a student's answers are from its teacher's, a scalar in float32; 0 where they are the same.

    Scores differ by their binary cross entropy above the teacher's own entropy, boxes as in `criterion`, weighted by
    how sure the teacher is of them, for most places see nothing (Zhou et al. 2022, arXiv 2207.05536).

    Args:
        ours: The student's scores of each class (`independent`) and boxes, [rows, places, classes + 4].
        theirs: The teacher's.
    """
    sure = theirs[..., :-4].sigmoid()
    losses = [
        functional.binary_cross_entropy_with_logits(scores[..., :-4], sure, reduction="sum")
        for scores in (ours, theirs)
    ]
    weights = sure.amax(2)
    away = (apart(ours[..., -4:], theirs[..., -4:]) * weights).sum()
    return (losses[0] - losses[1] + away) / weights.sum().clamp(min=1)


def independent(logits: torch.Tensor, classes: int) -> torch.Tensor:
    """Scores whose sigmoid is each class's probability, float32 of shape [..., classes]; of a softmax with one more
    score, for nothing, the logarithm of the odds.
    """
    logits = logits.float()
    if logits.shape[-1] == classes:
        return logits
    chance = logits.log_softmax(-1)[..., :classes].clamp(max=-EPSILON)
    return chance - torch.log(-torch.expm1(chance))


def apart(ours: torch.Tensor, theirs: torch.Tensor) -> torch.Tensor:
    """How far boxes are from others, shape [...] of [..., 4]."""
    return (1 - overlap(ours, theirs)[1]) * NEAR + (ours - theirs).abs().sum(-1) * SIDES
