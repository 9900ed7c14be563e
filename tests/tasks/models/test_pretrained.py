"""Loading: quiet, with every failure as a sentence."""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgesft.errors import InputError
from edgesft.tasks.contract import Contract
from edgesft.tasks.models import pretrained
from edgesft.tasks.text_classification import TextClassification

TASK = TextClassification()
TWO = Contract(TASK.name, ("negative", "positive"), {"max_length": 32})


@pytest.fixture
def copy(bert: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(bert, tmp_path / "copy"))


def edit(folder: Path, **values: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def cut(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-50])


def rename_a_weight(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    state = load_file(folder / "model.safetensors")
    name = next(name for name in state if name.endswith("query.weight"))
    state["other.weight"] = state.pop(name)
    save_file(state, folder / "model.safetensors", {"format": "pt"})


class Payload:
    """Runs code when it is unpickled."""

    def __reduce__(self) -> tuple[Callable[[str], Any], tuple[str]]:
        return exec, ("raise SystemExit('the pickle ran')",)


def pickle_code(folder: Path) -> None:
    import torch

    (folder / "model.safetensors").unlink()
    torch.save({"weight": Payload()}, folder / "pytorch_model.bin")


@pytest.mark.parametrize(
    ("damage", "part"),
    [
        (lambda folder: shutil.rmtree(folder), "no such folder"),
        (lambda folder: (folder / "config.json").unlink(), "holds no config.json"),
        (lambda folder: (folder / "model.safetensors").unlink(), "holds no weights"),
        (cut, "is damaged"),
        (pickle_code, "convert it to safetensors"),
        (rename_a_weight, "lacks weights: bert.encoder.layer.0.attention.self.query.weight"),
        (lambda folder: edit(folder, intermediate_size=96), "other shapes than config.json says"),
        (lambda folder: edit(folder, auto_map={"AutoModel": "own.Model"}), "needs remote code"),
        (lambda folder: edit(folder, model_type="nonsense"), "does not load"),
    ],
)
def test_failures_are_sentences(copy: Path, damage: Callable[[Path], Any], part: str) -> None:
    damage(copy)
    with pytest.raises(InputError, match=part):
        TASK.load_model(copy, TWO)


def test_pickled_tensors_load(copy: Path) -> None:
    import torch
    from safetensors.torch import load_file

    state = load_file(copy / "model.safetensors")
    torch.save(state, copy / "pytorch_model.bin")
    (copy / "model.safetensors").unlink()
    loaded = TASK.load_model(copy, TWO).state_dict()
    assert torch.equal(loaded["bert.embeddings.word_embeddings.weight"], state["embeddings.word_embeddings.weight"])


def test_new_head_follows_the_seed(bert: Path) -> None:
    import torch

    def head(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return TASK.load_model(bert, TWO).state_dict()["classifier.weight"]

    assert torch.equal(head(1), head(1))
    assert not torch.equal(head(1), head(2))


def test_head_of_another_size_is_made_anew(bert: Path, tmp_path: Path) -> None:
    TASK.load_model(bert, TWO).save_pretrained(tmp_path)
    three = Contract(TASK.name, ("a", "b", "c"), {"max_length": 32})
    model = TASK.load_model(tmp_path, three)
    assert model.state_dict()["classifier.weight"].shape[0] == 3
    assert model.config.id2label == {0: "a", 1: "b", 2: "c"}


def test_head_is_kept_and_put_into_our_order(bert: Path, tmp_path: Path) -> None:
    import torch

    first = TASK.load_model(bert, TWO)
    with torch.no_grad():
        first.classifier.bias.copy_(torch.tensor([1.0, 2.0]))
    first.save_pretrained(tmp_path)
    turned = TASK.load_model(tmp_path, Contract(TASK.name, ("positive", "negative"), {"max_length": 32}))
    kept = TASK.load_model(tmp_path, Contract(TASK.name, ("no", "yes"), {"max_length": 32}))
    assert turned.classifier.bias.tolist() == [2.0, 1.0]
    assert torch.equal(turned.classifier.weight, first.classifier.weight.flip(0))
    assert kept.classifier.bias.tolist() == [1.0, 2.0]


def test_weights_become_fp32_and_attention_eager(bert: Path, tmp_path: Path) -> None:
    import torch

    TASK.load_model(bert, TWO).half().save_pretrained(tmp_path)
    model = TASK.load_model(tmp_path, TWO)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert model.config._attn_implementation == "eager"


def test_quiet_restores_what_it_changed() -> None:
    from transformers.utils import logging as chatter

    before = logging.root.manager.disable, chatter.is_progress_bar_enabled()
    with pytest.raises(KeyError), pretrained.quiet():
        assert not logging.getLogger("transformers").isEnabledFor(logging.WARNING)
        assert not chatter.is_progress_bar_enabled()
        raise KeyError
    assert (logging.root.manager.disable, chatter.is_progress_bar_enabled()) == before


def test_loading_prints_nothing(bert: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from edgesft.tasks.base import Contract\n"
        "from edgesft.tasks.text_classification import TextClassification as T\n"
        "c = Contract('text-classification', ('a', 'b', 'c'), {'max_length': 32})\n"
        "T().load_model(Path(sys.argv[1]), c); T().load_processor(Path(sys.argv[1]), c)"
    )
    done = subprocess.run([sys.executable, "-c", program, bert], capture_output=True, text=True, check=True)
    assert done.stdout + done.stderr == ""
