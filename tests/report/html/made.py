"""Results of a run that nobody made: the demo's figures, samples drawn around them."""

from __future__ import annotations

import json
import random
from typing import Any

from edgesft.report.latency import latency, sketch
from tests.report.measured import MACHINE, measurement

STAGES = (
    ("finetune", "finetune", "fp32", True, 91_600_000, 22_700_000, 2_440_000, 0.686, "the fine-tuned original"),
    ("prune", "prune", "fp32", True, 73_400_000, 18_200_000, 1_200_000, 0.689, "latency 0.49 of before"),
    (
        "distill",
        "distill",
        "fp32",
        False,
        73_400_000,
        18_200_000,
        1_210_000,
        0.681,
        "accuracy -0.9 points: nothing gained",
    ),
    ("quantize", "quantize", "int8-dynamic", True, 19_100_000, 18_200_000, 439_000, 0.692, "latency 0.36 of before"),
)
CLASSES = ("de", "en", "fr", "it", "nl", "da", "sv", "pl")


def rounds(median: int, seed: int = 0, drift: float = 0.0) -> tuple[tuple[int, ...], ...]:
    """Twenty rounds of skewed samples, that become slower by a share from the first to the last."""
    rng = random.Random(seed)
    return tuple(
        tuple(int(median * (1 + drift * number / 19) * (0.97 + rng.gammavariate(1.2, 0.05))) for _ in range(100))
        for number in range(20)
    )


def stage(place: int, classes: tuple[str, ...] = CLASSES, drift: float = 0.0) -> dict[str, Any]:
    """The n-th of `STAGES`."""
    kind, name, precision, kept, size, parameters, median, score, reason = STAGES[place]
    taken = measurement(rounds=rounds(median, place, drift))
    facts = {key: value for key, value in taken.to_json().items() if key not in ("rounds_ns", "lengths", "provider")}
    drop = STAGES[0][7] - score
    bounded = (
        {"value": drop, "lower": drop - 0.012, "upper": drop + 0.012}
        if place
        else dict.fromkeys(("value", "lower", "upper"), 0.0)
    )
    history = [
        {
            "step": 100 * (each + 1),
            "loss": 2.2 / (each + 1),
            "learning_rate": 5e-5 * (5 - each) / 5,
            "metrics": {"accuracy": score - 0.2 / (each + 1) ** 2},
        }
        for each in range(5)
    ]
    training = {"best_step": 400, "steps": 500, "history": history, "seconds": 95.0} if kind != "quantize" else None
    return {
        "stage": kind,
        "name": name,
        "kept": kept,
        "reason": reason,
        "summary": "",
        "precision": precision,
        "metrics": {"test": {"accuracy": score}},
        "levels": {"accuracy": {"value": score, "lower": score - 0.015, "upper": score + 0.014}},
        "drops": {"accuracy": bounded},
        "size_bytes": size,
        "parameters": parameters,
        "details": {"training": training, "diagnosis": []} if training else {},
        **latency(taken),
        "latency_by_length": [],
        "provider": taken.provider,
        "measurement": {**facts, "sketch": sketch(taken.rounds)},
        "problem": "",
    }


def evaluation(classes: tuple[str, ...] = CLASSES) -> dict[str, Any]:
    """Answers that are right in two of three rows, most of the others next to it."""
    size, rng = len(classes), random.Random(1)
    counts = [
        [70 if one == other else rng.choice((0, 0, 1, 12 // (1 + abs(one - other)))) for other in range(size)]
        for one in range(size)
    ]
    pairs = sorted(
        ((counts[one][other], one, other) for one in range(size) for other in range(size) if one != other), reverse=True
    )
    points = [place / 20 for place in range(21)]
    return {
        "rows": sum(map(sum, counts)),
        "averages": {"accuracy": 0.692, "f1_macro": 0.68, "auc_macro": None},
        "classes": [
            {"name": name, "precision": 0.7, "recall": 0.6 + place / 100, "f1": 0.65, "auc": None, "rows": 80}
            for place, name in enumerate(classes)
        ],
        "confusion": counts,
        "confused": [
            {"true": classes[one], "predicted": classes[other], "rows": rows} for rows, one, other in pairs[:20] if rows
        ],
        "reliability": [
            {"rows": 40 * place, "confidence": place / 10 - 0.05, "accuracy": place / 11} for place in range(1, 11)
        ],
        "roc": {"false_positive_rate": points, "true_positive_rate": [point**0.3 for point in points]},
    }


def results(**changes: Any) -> dict[str, Any]:
    """What `results.json` holds, as another program reads it."""
    lines = [
        {
            "name": "latency_ms.p95",
            "limit": 5.0,
            "value": 0.498,
            "lower": 0.488,
            "upper": 0.508,
            "verdict": "inconclusive",
            "reason": "cores: the profile needs at least 8",
        },
        {
            "name": "latency_ratio.p50",
            "limit": 0.5,
            "value": 0.1798,
            "lower": 0.1783,
            "upper": 0.1812,
            "verdict": "pass",
        },
        {"name": "size_mb", "limit": 15.0, "value": 19.1, "lower": None, "upper": None, "verdict": "fail"},
        {
            "name": "max_drop.accuracy",
            "limit": 0.01,
            "value": -0.006088,
            "lower": -0.01826,
            "upper": 0.006849,
            "verdict": "pass",
        },
    ]
    told = {
        "schema": "edgesft/results",
        "schema_version": 1,
        "verdict": "fail",
        "profile": "x86-1-thread",
        "model_sha256": "ab" * 32,
        "metric": "accuracy",
        "split": "test",
        "budget": lines,
        "evaluation": evaluation(),
        "stages": [stage(place) for place in range(len(STAGES))],
        "environment": {
            **MACHINE,
            "differences": [],
            "versions": {"edgesft": "0.1.0"},
            "profile": {"name": "x86-1-thread"},
        },
        "recipe": {
            "version": 1,
            "model": "all-MiniLM-L6-v2",
            "task": "text-classification",
            "data": {"train": "train.jsonl"},
            "seed": 0,
        },
        "warnings": ["3 rows are also in train"],
        **changes,
    }
    return dict(json.loads(json.dumps(told)))


def decibels(**changes: Any) -> dict[str, Any]:
    """The same of a metric that is no share: each stage's is 12.34 dB."""
    found = results(metric="si_sdr", evaluation=None, budget=[], **changes)
    for each in found["stages"]:
        each["levels"] = {"si_sdr": {"value": 12.34, "lower": 12.1, "upper": 12.5}}
        each["drops"] = {"si_sdr": {"value": 0.0, "lower": -0.1, "upper": 0.1}}
    return found


def old(**changes: Any) -> dict[str, Any]:
    """The same as the first versions wrote it: without sketches, evaluation and the metric's name."""
    found = results(**changes)
    for name in ("metric", "evaluation", "environment", "recipe", "model_sha256"):
        del found[name]
    for each in found["stages"]:
        del each["measurement"]["sketch"]
        del each["details"], each["latency_bounds_ns"]
    return found
