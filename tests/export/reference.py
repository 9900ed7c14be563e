"""What the reference answers to raw rows of a bundle: edgesft's own preparation and ONNX Runtime in Python."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from edgesft.data.media import audio, image
from edgesft.measure.pipelines import text
from edgesft.ship import session

WITHIN = 1e-5
"""How far probabilities of the same float model may lie apart on different processors."""


class Reference:
    """A bundle in Python."""

    def __init__(self, bundle: Path, variant: str = "fp32") -> None:
        self.contract = json.loads((bundle / "contract.json").read_bytes())
        variants = json.loads((bundle / "manifest.json").read_bytes())["variants"]
        found = next(each for each in variants if each["name"] == variant)
        self.run = session.runner(bundle / found["file"], found["file"], found["fixed"])
        preparation, decoding = self.contract["preparation"], self.contract["decoding"]
        told = {"inputs": [each["name"] for each in self.contract["inputs"]], "labels": self.contract["labels"]}
        told |= {"temperature": decoding.get("temperature")}
        told |= {"accept_above": self.contract["thresholds"].get("unknown", {}).get("accept_above")}
        kinds = {"text": text.Pipeline, "image": image.Pipeline, "audio": audio.Pipeline}
        make = kinds.get(preparation["kind"])
        self.steps = make(str(bundle / "processor"), {**preparation, **told}) if make else None

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Label, probability, and whether it is of a known class."""
        return self.steps.after(self.run(self.steps.before(row)))

    def stream(self, path: Path) -> Iterator[dict[str, Any]]:
        """The label and its probability of each frame of a sound."""
        ((name, told),) = self.contract["preparation"]["arrays"].items()
        ((state, following),) = self.contract["states"].items()
        (size,) = told["shape"]
        shapes = {each["name"]: each["shape"] for each in self.contract["inputs"]}
        value = np.zeros(shapes[state], np.float32)
        samples = audio.decode(str(path))[0].mean(axis=1).astype(np.float32)
        for start in range(0, len(samples) - size + 1, size):
            outputs = self.run({name: samples[np.newaxis, start : start + size], state: value})
            value = outputs[following]
            scores = outputs[self.contract["decoding"]["output"]][0].astype(np.float64)
            weights = np.exp(scores - scores.max())
            best = int(scores.argmax())
            yield {"label": self.contract["labels"][best], "score": weights[best] / weights.sum()}


def same(mine: dict[str, Any], theirs: dict[str, Any], within: float = WITHIN) -> None:
    """Fails where two answers are not equal, their probabilities within what floats allow."""
    assert mine["label"] == theirs["label"] and mine.get("known") == theirs.get("known"), (mine, theirs)
    assert abs(mine["score"] - theirs["score"]) <= within, (mine, theirs)
