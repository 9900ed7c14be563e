"""Tasks by name."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from edgesft.errors import InputError
from edgesft.spec.generation import GenerationSpec
from edgesft.spec.media import FramesSpec, SpeechSpec
from edgesft.tasks.arrays import Arrays
from edgesft.tasks.base import Row, Task
from edgesft.tasks.contract import Contract
from edgesft.tasks.image_generation import ImageGeneration
from edgesft.tasks.registry import TASKS, of_contract, task
from edgesft.tasks.speech_enhancement import SpeechEnhancement
from edgesft.tasks.text_classification import TextClassification
from edgesft.tasks.text_generation import TextGeneration
from edgesft.tasks.text_to_speech import TextToSpeech
from tests import tiny


def test_every_task_is_found_under_its_own_name() -> None:
    assert isinstance(task("text-classification"), TextClassification)
    assert all(task(name).name == name for name in TASKS)


def test_a_task_is_imported_where_it_is_asked_for() -> None:
    code = """
import sys
from edgesft.tasks.registry import PLACES, TASKS, task
assert sorted(TASKS) and "arrays" in TASKS and task("text-classification")
print(*{file for file, _ in PLACES.values() if f"edgesft.tasks.{file}" in sys.modules})
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["text_classification"]


def test_unknown_task_names_the_nearest_and_all() -> None:
    with pytest.raises(InputError) as caught:
        task("text-clasification")
    assert f"must be one of {', '.join(sorted(TASKS))}, got 'text-clasification'" in str(caught.value)
    assert "Try: 'text-classification'" in str(caught.value)


NUMBERS: list[Row] = [{"a": [1.0, 2.0], "b": 3, "label": 0.5}]
NAMES: list[Row] = [{"a": [1.0, 2.0], "b": 3, "label": "yes"}, {"a": [1.0, 2.0], "b": 3, "label": "no"}]


@pytest.mark.parametrize(
    ("asked", "rows", "options"),
    [
        (Arrays(("a", "b"), "huber", "r2"), NUMBERS, {}),
        (Arrays(("b", "a"), "auto", "nets:hits", Path("here")), NAMES, {}),
        (ImageGeneration(GenerationSpec(method="autoencoder")), tiny.pictured(2), {}),
        (ImageGeneration(inputs=("noisy", "time", "label")), tiny.pictured(2), {}),
        (TextToSpeech(SpeechSpec(units="words", longest=7)), [{"text": "a b"}], {}),
        (SpeechEnhancement(FramesSpec(window=256, hop=128), ("sound",)), [], {"input": "sound"}),
        (TextGeneration(("messages",)), [], {"max_length": 8}),
    ],
)
def test_a_contract_gives_back_its_task(asked: Task, rows: list[Row], options: dict[str, Any]) -> None:
    told = json.loads(asked.contract(rows, options).text())
    found = of_contract(Contract.from_json(told), dict.fromkeys(asked.roles, "column"))
    assert type(found) is type(asked) and found.metrics == asked.metrics
    assert (sorted(found.roles), found.optional) == (sorted(asked.roles), asked.optional)
    assert json.loads(found.contract(rows, options).text()) == told


@pytest.mark.parametrize(
    ("name", "labels", "options", "said"),
    [
        ("image-generation", (), {"generation": {"method": "diffusion", "newer": 1}}, "newer=1: Extra inputs"),
        ("image-generation", (), {"generation": 3}, "must be a mapping"),
        ("image-generation", ("cat",), {"generation": {"method": "autoencoder"}}, "1 labels with method autoencoder"),
        ("text-to-speech", (), {**SpeechSpec().model_dump(), "units": "grunts"}, "units='grunts': "),
        ("arrays", (), {"inputs": 3, "metric": "r2"}, "not iterable"),
        ("arrays", (), {"metric": "r2"}, "contract must tell 'inputs' for arrays"),
    ],
)
def test_a_contract_that_cannot_be_understood(
    name: str, labels: tuple[str, ...], options: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError, match=re.escape(said)) as caught:
        of_contract(Contract(name, labels, options))
    assert name in str(caught.value) and "copy it again" in str(caught.value)


def test_every_task_is_given_back() -> None:
    declared = {name for name in TASKS if TASKS[name].of_recipe.__func__ is not Task.of_recipe.__func__}
    assert declared == {name for name in TASKS if TASKS[name].of_contract.__func__ is not Task.of_contract.__func__}
