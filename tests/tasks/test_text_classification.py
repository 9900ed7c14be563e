"""The text classification task, on a tiny encoder."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesft.errors import InputError
from edgesft.spec.training import ResolvedTraining
from edgesft.tasks.base import Batch, Run
from edgesft.tasks.contract import Contract
from edgesft.tasks.text_classification import TextClassification
from tests import tiny

TASK = TextClassification()
ROWS = tiny.rows(40)
CONTRACT = TASK.contract(ROWS, {"max_length": 10})


@pytest.fixture(scope="module")
def tokenizer(bert: Path) -> Any:
    return TASK.load_processor(bert, CONTRACT)


@pytest.fixture(scope="module")
def model(bert: Path) -> Any:
    import torch

    torch.manual_seed(0)
    return TASK.load_model(bert, CONTRACT).eval()


def runner(model: Any) -> Run:
    import torch

    def run(feeds: Batch, graph: str = "model") -> dict[str, np.ndarray]:
        with torch.no_grad():
            outputs = model(**{name: torch.from_numpy(values) for name, values in feeds.items()})
        return {"logits": outputs.logits.numpy()}

    return run


def test_importing_needs_no_heavy_library() -> None:
    program = (
        "import sys, edgesft.tasks.text_classification, edgesft.tasks.registry, edgesft.data, edgesft.data.checks\n"
        "print([name for name in ('torch', 'transformers', 'pandas', 'pyarrow', 'onnxruntime') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_checking_a_model_needs_no_torch(bert: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from edgesft.tasks.base import Contract\n"
        "from edgesft.tasks.text_classification import TextClassification as T\n"
        "c = Contract('text-classification', ('a', 'b'), {'max_length': 32})\n"
        "print(T().check_model(Path(sys.argv[1]), c), 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program, bert], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] False"


def test_contract_orders_labels() -> None:
    assert Contract("text-classification", ("negative", "positive"), {"max_length": 10}) == CONTRACT
    numbers = [{"text": "a", "label": label} for label in (10, "9", 2)]
    assert TASK.contract(numbers, {"max_length": 8}).labels == ("2", "9", "10")


def test_check_reports_rows() -> None:
    assert TASK.check({"train": ROWS, "validation": ROWS}) == []
    assert len(TASK.check({"train": ROWS, "validation": [{"text": "", "label": "other"}]})) == 2


def test_check_model_accepts_what_loads(bert: Path) -> None:
    assert TASK.check_model(bert, CONTRACT) == []


def test_check_model_reports_everything_at_once(bert: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(bert, tmp_path / "copy"))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "clip"}))
    (folder / "tokenizer.json").unlink()
    (folder / "model.safetensors").write_bytes(b"short")
    long = Contract(TASK.name, CONTRACT.labels, {"max_length": 128})
    text = "\n".join(map(str, TASK.check_model(folder, long)))
    assert "cut short" in text
    assert "no tokenizer" in text
    assert "must have a sequence-classification head in transformers, got model_type 'clip'" in text
    assert "data.max_length: must be at most 64, the longest input of this model, got 128" in text
    assert "holds no config.json" in str(TASK.check_model(tmp_path, CONTRACT)[0])


def test_check_model_and_remote_code(bert: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(bert, tmp_path / "copy"))
    config = json.loads((folder / "config.json").read_text())
    own = {**config, "model_type": "own", "auto_map": {"AutoModelForSequenceClassification": "own.Model"}}
    (folder / "config.json").write_text(json.dumps(own))
    assert [problem.message[:25] for problem in TASK.check_model(folder, CONTRACT)] == [
        "model: needs remote code, "[:25]
    ]
    (trusted,) = TASK.check_model(folder, CONTRACT, trust_remote_code=True)
    assert "not supported yet" in trusted.message


def test_encode_cuts_and_labels(tokenizer: Any) -> None:
    rows = [{"text": "the film " * 20, "label": "positive"}, {"text": "a plot", "label": "negative"}, {"text": "it"}]
    first, second, third = TASK.encode(rows, tokenizer, CONTRACT)
    assert len(first["input_ids"]) == 10
    assert first["input_ids"][-1] == tokenizer.sep_token_id
    assert second["input_ids"].tolist() == tokenizer("a plot")["input_ids"]
    assert set(second) == {*tokenizer.model_input_names, "labels"}
    assert {values.dtype for values in second.values()} == {np.dtype(np.int64)}
    assert (int(first["labels"]), int(second["labels"]), "labels" in third) == (1, 0, False)


def test_encode_names_an_unknown_label(tokenizer: Any) -> None:
    with pytest.raises(InputError, match="label: must be one of negative, positive, got 'other'"):
        TASK.encode([{"text": "a", "label": "other"}], tokenizer, CONTRACT)


@pytest.mark.parametrize("side", ["right", "left"])
def test_collate_pads_like_the_tokenizer(tokenizer: Any, side: str) -> None:
    texts = [row["text"] for row in ROWS[:5]]
    before, tokenizer.padding_side = tokenizer.padding_side, side
    batch = TASK.collate(TASK.encode(ROWS[:5], tokenizer, CONTRACT), tokenizer)
    expected = tokenizer(texts, padding=True, truncation=True, max_length=10, return_tensors="np")
    tokenizer.padding_side = before
    for name in tokenizer.model_input_names:
        assert np.array_equal(batch[name], expected[name])
    assert batch["labels"].tolist() == [CONTRACT.labels.index(row["label"]) for row in ROWS[:5]]
    assert 0 in batch["attention_mask"]


def test_predictions_keep_the_order_and_ignore_padding(tokenizer: Any, model: Any) -> None:
    examples = TASK.encode(ROWS, tokenizer, CONTRACT)
    one = TASK.predict(runner(model), examples, tokenizer)
    seven = TASK.predict(runner(model), examples, tokenizer, batch_size=7)
    assert one.shape == (40, 2)
    assert one.dtype == np.float32
    assert len(np.unique(one[:, 0])) > 20
    assert np.allclose(one, seven, atol=1e-6)


def test_predict_feeds_no_labels_and_batches_rows_of_like_length(tokenizer: Any) -> None:
    widths = []

    def run(feeds: Batch) -> dict[str, np.ndarray]:
        assert set(feeds) == set(tokenizer.model_input_names)
        widths.append(feeds["input_ids"].shape[1])
        return {"logits": feeds["input_ids"][:, 1:3]}

    examples = TASK.encode(ROWS, tokenizer, CONTRACT)
    predictions = TASK.predict(run, examples, tokenizer, batch_size=8)
    assert widths == sorted(widths)
    assert predictions.tolist() == [example["input_ids"][1:3].tolist() for example in examples]


def test_score(tokenizer: Any) -> None:
    examples = [{"labels": np.asarray(label)} for label in (0, 0, 1, 1)]
    logits = np.array([[2, 1], [1, 2], [1, 2], [0, 5]], np.float32)
    scores = TASK.score(logits, TASK.references(examples), CONTRACT)
    assert tuple(scores) == TASK.metrics
    f1 = (2 / 3 + 4 / 5) / 2
    expected = {"accuracy": 3 / 4, "f1_macro": f1, "f1_weighted": f1, "precision_macro": (1 + 2 / 3) / 2}
    assert scores == pytest.approx({**expected, "recall_macro": 3 / 4})


def test_evaluate_names_the_classes() -> None:
    found = TASK.evaluate(np.array([[2.0, 1.0], [1.0, 2.0]]), np.array([0, 0]), CONTRACT)
    assert [each["name"] for each in found["classes"]] == list(CONTRACT.labels)


def test_augmentation_replaces_its_share_of_ordinary_tokens(tokenizer: Any) -> None:
    batch = TASK.collate(TASK.encode(tiny.rows(300), tokenizer, CONTRACT), tokenizer)
    noisy = TASK.augment(batch, tokenizer, ResolvedTraining(token_dropout=0.3), np.random.default_rng(0))
    again = TASK.augment(batch, tokenizer, ResolvedTraining(token_dropout=0.3), np.random.default_rng(0))
    special = np.isin(batch["input_ids"], tokenizer.all_special_ids)
    assert np.array_equal(noisy["input_ids"], again["input_ids"])
    assert np.array_equal(noisy["input_ids"][special], batch["input_ids"][special])
    assert not np.isin(noisy["input_ids"][~special], tokenizer.all_special_ids).any()
    assert noisy["input_ids"].max() < len(tokenizer)
    changed = (noisy["input_ids"] != batch["input_ids"])[~special].mean()
    assert 0.25 < changed < 0.35
    assert all(noisy[name] is batch[name] for name in batch if name != "input_ids")
    assert np.array_equal(
        TASK.augment(batch, tokenizer, ResolvedTraining(), np.random.default_rng(0))["input_ids"], batch["input_ids"]
    )


def test_loss_is_cross_entropy_with_smoothing() -> None:
    import torch

    outputs = {"logits": torch.tensor([[0.0, math.log(3)]])}
    labels = torch.tensor([1])
    assert TASK.loss(outputs, labels).item() == pytest.approx(-math.log(0.75))
    smoothed = -0.9 * math.log(0.75) - 0.1 * math.log(0.25)
    assert TASK.loss(outputs, labels, label_smoothing=0.2).item() == pytest.approx(smoothed)


def test_build_gives_the_architecture_that_was_saved(model: Any) -> None:
    import torch

    built = TASK.build_model(json.loads(model.config.to_json_string()), CONTRACT)
    built.load_state_dict(model.state_dict())
    tokens = torch.tensor([[2, 7, 8, 3]])
    with torch.no_grad():
        assert torch.equal(built.eval()(tokens)["logits"], model(tokens)["logits"])
    assert built.config._attn_implementation == "eager"
    assert built.config.id2label == {0: "negative", 1: "positive"}


def test_graph_is_what_the_device_feeds(tokenizer: Any, model: Any) -> None:
    examples = TASK.encode(ROWS, tokenizer, CONTRACT)
    (graph,) = TASK.graphs(model, tokenizer, examples)
    assert (graph.name, graph.outputs) == ("model", ("logits",))
    assert list(graph.inputs) == ["input_ids", "attention_mask"]
    assert {tuple(values.shape) for values in graph.inputs.values()} == {(2, 10)}
    assert 0 in graph.inputs["attention_mask"]
    assert graph.dynamic["input_ids"] == {0: "batch", 1: "sequence"}
    request = TASK.requests(examples, tokenizer)[3]
    assert set(request) == set(graph.inputs)
    assert np.array_equal(request["input_ids"], examples[3]["input_ids"][None])


def test_tokenizer_makes_only_inputs_that_the_model_takes(tmp_path: Path) -> None:
    from transformers import AutoTokenizer, DistilBertConfig, DistilBertModel

    tiny.save_tokenizer(tmp_path)
    config = DistilBertConfig(vocab_size=128, dim=16, n_layers=1, n_heads=2, hidden_dim=16, max_position_embeddings=64)
    DistilBertModel(config).save_pretrained(tmp_path)
    names = ["input_ids", "token_type_ids", "attention_mask"]
    AutoTokenizer.from_pretrained(tmp_path, model_input_names=names).save_pretrained(tmp_path)
    tokenizer = TASK.load_processor(tmp_path, CONTRACT)
    assert tokenizer.model_input_names == ["input_ids", "attention_mask"]
    tokenizer.save_pretrained(tmp_path / "device")
    assert TASK.load_processor(tmp_path / "device", CONTRACT).model_input_names == ["input_ids", "attention_mask"]
    examples = TASK.encode(ROWS[:4], tokenizer, CONTRACT)
    assert TASK.predict(runner(TASK.load_model(tmp_path, CONTRACT).eval()), examples, tokenizer).shape == (4, 2)


def test_tokenizer_without_padding(bert: Path, tmp_path: Path) -> None:
    for file in ("config.json", "tokenizer.json"):
        shutil.copy(bert / file, tmp_path)
    config = json.loads((bert / "tokenizer_config.json").read_text())
    del config["pad_token"]
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match="must have a padding token"):
        TASK.load_processor(tmp_path, CONTRACT)


def test_code_that_comes_along_never_runs_and_nothing_is_asked(bert: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(bert, tmp_path / "copy"))
    for name in ("config.json", "tokenizer_config.json"):
        said = json.loads((copy / name).read_text())
        own = {"auto_map": {"AutoTokenizer": ["own.Tokenizer", None], "AutoConfig": "own.Config"}, "model_type": "own"}
        (copy / name).write_text(json.dumps({**said, **own, "tokenizer_class": "OwnTokenizer"}))
    with pytest.raises(InputError, match="not supported yet"):
        TASK.load_model(copy, CONTRACT, trust_remote_code=True)
    program = (
        "import sys; from pathlib import Path; from edgesft.tasks.base import Contract\n"
        "from edgesft.tasks.text_classification import TextClassification as T\n"
        "T().load_processor(Path(sys.argv[1]), Contract('text-classification', ('a', 'b'), {'max_length': 32}))"
    )
    done = subprocess.run([sys.executable, "-c", program, copy], input="y\n", capture_output=True, text=True)
    assert done.stdout == "" and "[y/N]" not in done.stderr


def test_a_damaged_tokenizer_is_a_problem(bert: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(bert, tmp_path / "copy"))
    (copy / "tokenizer_config.json").write_text("[]")
    assert ["is damaged" in str(problem) for problem in TASK.check_model(copy, CONTRACT)] == [True]
