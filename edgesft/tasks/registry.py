"""The tasks by name. A new task is one file beside this one and one line here."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from pydantic import ValidationError

from edgesft.errors import InputError
from edgesft.spec.recipe import RecipeSpec
from edgesft.tasks.base import Task
from edgesft.tasks.contract import Contract

PLACES = {
    "text-classification": ("text_classification", "TextClassification"),
    "token-classification": ("token_classification", "TokenClassification"),
    "question-answering": ("question_answering", "QuestionAnswering"),
    "multi-task": ("multi_task", "MultiTask"),
    "zero-shot-classification": ("zero_shot", "ZeroShot"),
    "text-generation": ("text_generation", "TextGeneration"),
    "text-to-text": ("text_to_text", "TextToText"),
    "image-classification": ("image_classification", "ImageClassification"),
    "image-multi-task": ("multi_task", "ImageMultiTask"),
    "image-generation": ("image_generation", "ImageGeneration"),
    "object-detection": ("object_detection", "ObjectDetection"),
    "audio-classification": ("audio_classification", "AudioClassification"),
    "audio-multi-task": ("multi_task", "AudioMultiTask"),
    "speech-enhancement": ("speech_enhancement", "SpeechEnhancement"),
    "text-to-speech": ("text_to_speech", "TextToSpeech"),
    "voice-activity": ("voice_activity", "VoiceActivity"),
    "recommendation": ("recommendation", "Recommendation"),
    "arrays": ("arrays", "Arrays"),
}
"""Name → the file beside this one, and the class in it."""


class _Tasks(Mapping[str, type[Task]]):
    """Name → task. Its file is imported when it is asked for: a recipe has one of all of them."""

    def __getitem__(self, name: str) -> type[Task]:
        file, kind = PLACES[name]
        found: type[Task] = getattr(importlib.import_module(f"edgesft.tasks.{file}"), kind)
        return found

    def __contains__(self, name: object) -> bool:
        return name in PLACES

    def __iter__(self) -> Iterator[str]:
        return iter(PLACES)

    def __len__(self) -> int:
        return len(PLACES)


TASKS: Mapping[str, type[Task]] = _Tasks()


def of(recipe: RecipeSpec, base: Path) -> Task:
    """The task of a recipe, as its model declares it.

    Args:
        recipe: The recipe.
        base: Folder that relative paths start from.

    Raises:
        InputError: There is no such task.
    """
    return type(task(recipe.task)).of_recipe(recipe, base)


def of_contract(contract: Contract, columns: Mapping[str, str] = MappingProxyType({})) -> Task:
    """The task of a contract, as the run declared it that left the contract.

    Args:
        contract: Names the task, and has what its recipe said of it.
        columns: `data.columns` of that recipe, where it is there.

    Raises:
        InputError: There is no such task, or the contract lacks an option of the task or has one that this edgesft
            does not understand.
    """
    try:
        return type(task(contract.task)).of_contract(contract, columns)
    except KeyError as error:
        raise InputError(f"contract must tell {error} for {contract.task}, got nothing", "copy it again") from None
    except (ValueError, TypeError) as error:
        message = f"contract must have options that this edgesft knows for {contract.task}, got {_wrong(error)}"
        raise InputError(message, "copy it again, or pip install --upgrade edgesft") from None


def _wrong(error: Exception) -> str:
    """What is wrong with options, on one line."""
    if not isinstance(error, ValidationError):
        return str(error)
    found = error.errors(include_url=False)
    return "; ".join(f"{'.'.join(map(str, each['loc']))}={each['input']!r}: {each['msg']}" for each in found)


def task(name: str) -> Task:
    """The task of that name.

    Raises:
        InputError: There is no such task.
    """
    if name in TASKS:
        return TASKS[name]()
    known = ", ".join(sorted(TASKS))
    close = difflib.get_close_matches(name, TASKS, n=1)
    raise InputError(f"task: must be one of {known}, got {name!r}", f"{close[0]!r}" if close else f"task: {known}")
