"""Fixtures that the whole suite shares."""

from __future__ import annotations

import os
from pathlib import Path

# Before anything loads torch: spinning threads of a loaded machine would stop each other, and models as small as these
# are no faster on two.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest

from tests import tiny


@pytest.fixture(scope="session")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a tiny pretrained encoder; read only."""
    return tiny.save_bert(tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="session")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a tiny decoder; read only."""
    return tiny.save_decoder(tmp_path_factory.mktemp("llama"))


@pytest.fixture(scope="session")
def t5(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a tiny encoder-decoder; read only."""
    return tiny.save_t5(tmp_path_factory.mktemp("t5"))


@pytest.fixture(scope="session")
def spoken(llama: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a run with that decoder leaves: its export with contract and tokenizer; read only."""
    from edgesft.stages.export import export_onnx
    from edgesft.tasks.text_generation import TextGeneration

    task, folder = TextGeneration(), tmp_path_factory.mktemp("spoken")
    contract = task.contract([], task.implied(llama, {"max_length": 64}))
    processor = task.load_processor(llama, contract)
    rows = task.encode(tiny.asked(4), processor, contract)
    export_onnx(task.load_model(llama, contract), task, processor, rows, contract, folder, opset=20)
    return folder


@pytest.fixture(scope="session")
def put(t5: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a run with that encoder-decoder leaves: its export with contract and tokenizer; read only."""
    from edgesft.stages.export import export_onnx
    from edgesft.tasks.text_to_text import TextToText

    task, folder = TextToText(), tmp_path_factory.mktemp("put")
    contract = task.contract(tiny.translated(4), task.implied(t5, {"max_length": 32}))
    processor = task.load_processor(t5, contract)
    rows = task.encode(tiny.translated(4), processor, contract)
    export_onnx(task.load_model(t5, contract), task, processor, rows, contract, folder, opset=20)
    return folder


@pytest.fixture(scope="session")
def resnet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a tiny net for pictures; read only."""
    return tiny.save_resnet(tmp_path_factory.mktemp("resnet"))


@pytest.fixture(scope="session")
def ast(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a tiny audio spectrogram transformer; read only."""
    return tiny.save_ast(tmp_path_factory.mktemp("ast"))
