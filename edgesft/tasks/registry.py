"""The tasks by name. A new task is one file beside this one and one line here."""

from __future__ import annotations

import difflib
from pathlib import Path

from edgesft.errors import InputError
from edgesft.spec.recipe import RecipeSpec
from edgesft.tasks.arrays import Arrays
from edgesft.tasks.audio_classification import AudioClassification
from edgesft.tasks.base import Task
from edgesft.tasks.image_classification import ImageClassification
from edgesft.tasks.image_generation import ImageGeneration
from edgesft.tasks.multi_task import AudioMultiTask, ImageMultiTask, MultiTask
from edgesft.tasks.object_detection import ObjectDetection
from edgesft.tasks.question_answering import QuestionAnswering
from edgesft.tasks.recommendation import Recommendation
from edgesft.tasks.speech_enhancement import SpeechEnhancement
from edgesft.tasks.text_classification import TextClassification
from edgesft.tasks.text_generation import TextGeneration
from edgesft.tasks.text_to_speech import TextToSpeech
from edgesft.tasks.text_to_text import TextToText
from edgesft.tasks.token_classification import TokenClassification
from edgesft.tasks.voice_activity import VoiceActivity
from edgesft.tasks.zero_shot import ZeroShot

TASKS: dict[str, type[Task]] = {
    each.name: each
    for each in (
        TextClassification,
        TokenClassification,
        QuestionAnswering,
        MultiTask,
        ZeroShot,
        TextGeneration,
        TextToText,
        ImageClassification,
        ImageMultiTask,
        ImageGeneration,
        ObjectDetection,
        AudioClassification,
        AudioMultiTask,
        SpeechEnhancement,
        TextToSpeech,
        VoiceActivity,
        Recommendation,
        Arrays,
    )
}


def of(recipe: RecipeSpec, base: Path) -> Task:
    """The task of a recipe, as its model declares it.

    Args:
        recipe: The recipe.
        base: Folder that relative paths start from.

    Raises:
        InputError: There is no such task.
    """
    return type(task(recipe.task)).of_recipe(recipe, base)


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
