"""Audio spectrogram transformers: features as transformers makes them, in the model's file, through every stage."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edgesft import api
from edgesft.data.media.audio import Pipeline, Reader
from edgesft.measure.driver import Value
from edgesft.measure.pipelines import find
from edgesft.progress import Progress
from edgesft.spec.media import AudioSpec
from edgesft.stages.export.checks import file_run
from edgesft.tasks import extractor
from edgesft.tasks.audio_classification import AudioClassification, Listening
from edgesft.tasks.logmel import LogMel
from tests import chain, tiny
from tests.tasks.test_audio_classification import recipe

pytest.importorskip("soundfile")

TASK = AudioClassification()


@pytest.fixture(scope="module")
def ast(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save_ast(tmp_path_factory.mktemp("ast"))


def test_the_whole_chain(ast: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGESFT_STORE", str(tmp_path / "store"))
    stages = (
        {**chain.STAGES[0], "epochs": 6, "learning_rate": 3.0e-3, "shift": [0.1], "snr": [10, 30], "masking": 0.1},
        {**chain.STAGES[1], "parameters": 0.7},
        chain.STAGES[2],
        {**chain.STAGES[3], "scheme": "int8-static"},
    )
    place = recipe(tmp_path, (240, 60, 60), model=str(ast), stages=stages, audio={})
    api.run(place, output=tmp_path / "run", progress=Progress(quiet=True))
