"""What every task tells of the way into its model and out of it."""

from __future__ import annotations

import json

import pytest

from edgesft.data.histories import ITEMS
from edgesft.ship.contract import DECODINGS, PREPARATIONS
from edgesft.ship.shape import wrong
from edgesft.spec.generation import GenerationSpec
from edgesft.spec.media import AudioSpec, BoxesSpec, ImageSpec, SpeechSpec
from edgesft.tasks import registry
from edgesft.tasks.contract import Contract
from edgesft.tasks.speech_enhancement import SpeechEnhancement
from edgesft.tasks.voice_activity import VoiceActivity

HEADS = {"heads": {"h": 2, "g": 1}}
CONTRACTS = {
    "text-classification": Contract("text-classification", ("a", "b"), {"max_length": 8, "temperature": 2.0}),
    "token-classification": Contract("token-classification", ("O", "B-X"), {"max_length": 8}),
    "question-answering": Contract("question-answering", (), {"max_length": 8, "stride": 2}),
    "multi-task": Contract("multi-task", ("h/a", "h/b", "g/c"), {"max_length": 8, "heads": {"h": 2, "g": 1}}),
    "zero-shot-classification": Contract("zero-shot-classification", ("a", "b"), {"max_length": 8}),
    "image-classification": Contract("image-classification", ("a", "b"), ImageSpec().model_dump()),
    "image-multi-task": Contract("image-multi-task", ("h/a", "h/b", "g/c"), {**ImageSpec().model_dump(), **HEADS}),
    "audio-multi-task": Contract("audio-multi-task", ("h/a", "h/b", "g/c"), {**AudioSpec().model_dump(), **HEADS}),
    "image-generation": Contract(
        "image-generation",
        (),
        {**ImageSpec().model_dump(), "generation": GenerationSpec().model_dump(), "shape": [3, 8, 8]},
    ),
    "audio-classification": Contract("audio-classification", ("a", "b"), AudioSpec().model_dump()),
    "speech-enhancement": Contract(
        "speech-enhancement",
        (),
        {
            **SpeechEnhancement()._said,
            "input": "x",
            "output": "y",
            "states": {"h": {"shape": [1, 2], "output": "h_out"}},
        },
    ),
    "voice-activity": Contract(
        "voice-activity",
        ("speech",),
        {**VoiceActivity()._said, "input": "x", "output": "y", "states": {"h": {"shape": [1, 2], "output": "h_out"}}},
    ),
    "object-detection": Contract(
        "object-detection", ("a", "b"), {**ImageSpec().model_dump(), "boxes": BoxesSpec().model_dump()}
    ),
    "text-to-speech": Contract(
        "text-to-speech", (), {**SpeechSpec().model_dump(), "symbols": ["a", "b"], "speakers": ["x"]}
    ),
    "text-generation": Contract(
        "text-generation",
        (),
        {
            "max_length": 8,
            "template": "{{ messages }}",
            "stop": [2],
            "positions": None,
            "cache": {"layers": 1, "heads": 2, "width": 4},
        },
    ),
    "text-to-text": Contract(
        "text-to-text",
        (),
        {
            "max_length": 8,
            "words": "13a",
            "start": 0,
            "stop": [1],
            "positions": None,
            "prefix": "say: ",
            "cache": {"layers": 1, "heads": 2, "width": 4},
        },
    ),
    "recommendation": Contract(
        "recommendation", ("a", "b"), {"max_length": 8, "repeats": "excluded", "history": 9, "answers": 10}
    ),
    "arrays": Contract(
        "arrays", ("a", "b"), {"inputs": {"x": {"shape": [3], "dtype": "float32"}}, "metric": "accuracy"}
    ),
}


@pytest.mark.parametrize("name", registry.TASKS)
def test_ways(name: str) -> None:
    task, contract = registry.task(name), CONTRACTS[name]
    before, after = task.preparation(contract), task.decoding(contract)
    # Of what users did a row is made, which has another column.
    roles = {ITEMS} if task.by_user else {*task.roles, *task.optional}
    assert before["kind"] in PREPARATIONS and set(before["columns"]) <= roles
    assert after["kind"] in DECODINGS
    assert after.get("classes", 0) == (0 if after["kind"] == "probability" else len(contract.labels))
    read = Contract.from_json(json.loads(contract.text()))  # whose names are sorted
    assert task.preparation(read) == before and task.decoding(read) == after
    if before["kind"] in ("image", "audio", "frames", "symbols"):
        assert not list(wrong(before, {**PREPARATIONS[before["kind"]], "kind": {before["kind"]}}, "preparation"))
    assert not list(wrong(after, {**DECODINGS[after["kind"]], "kind": {after["kind"]}}, "decoding"))
    if name.endswith("multi-task"):
        assert [(head["first"], head["classes"]) for head in after["heads"]] == [(0, 2), (2, 1)]


def test_what_is_known_of_ratings_and_moments_is_said() -> None:
    features = [
        {"column": "device", "kind": "category", "values": ["phone", "7"]},
        {"column": "age", "kind": "number", "values": [18, 40.5]},
        {"column": "time", "kind": "hour", "values": []},
    ]
    known = {"scale": [0.5, 5], "scenario": features, "about": [[0], [0, 1]]}
    plain = CONTRACTS["recommendation"]
    before = registry.task(plain.task).preparation(plain.extended(known))
    assert before["columns"] == [ITEMS, "ratings", "device", "age", "time"] and before["features"] == features
    assert not list(wrong(before, {**PREPARATIONS["items"], "kind": {"items"}}, "preparation"))
    odd = {**before, "features": [{**features[0], "kind": "colour"}]}
    assert "features.0.kind must be one of category" in next(wrong(odd, {**PREPARATIONS["items"], "kind": {"items"}}))


def test_numbers_are_no_classes() -> None:
    contract = Contract("arrays", (), {"inputs": {}, "metric": "r2"})
    assert registry.task("arrays").decoding(contract) == {"kind": "numbers", "output": "logits"}
