from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesft.measure.driver import Agent, MeasureError
from edgesft.measure.pipelines import find
from edgesft.measure.pipelines.text import Pipeline
from edgesft.measure.replies import Value
from edgesft.spec.profile import ProviderSpec
from edgesft.stages.export import save_companions
from edgesft.tasks.contract import Contract
from edgesft.tasks.text_classification import TextClassification
from tests import tiny

TASK = TextClassification()
CONTRACT = Contract(TASK.name, ("negative", "positive"), {"max_length": 8})
TEXTS = ("good", "", "The WARM film is a very dull story and it was bad", "a [SEP] plot [UNK]", "café ∎ 电影")
ROWS = [{"text": text} for text in TEXTS]


def saved(folder: Path, bert: Path, **settings: object) -> tuple[Path, Any, tuple[Value, ...]]:
    """What an export leaves beside the model, the tokenizer that it is of, and the model's inputs."""
    source = folder / "pretrained"
    shutil.copytree(bert, source)
    said = json.loads((source / "tokenizer_config.json").read_text("utf-8"))
    (source / "tokenizer_config.json").write_text(json.dumps({**said, **settings}), "utf-8")
    processor = TASK.load_processor(source, CONTRACT)
    # What the tokenizer did last goes into its file, and must not come back from there.
    processor(list(TEXTS), padding="max_length", truncation=True, max_length=3)
    save_companions(processor, CONTRACT, folder)
    inputs = tuple(Value(name, "int64", ("batch", "sequence")) for name in processor.model_input_names)
    return folder / "model.onnx", processor, inputs


def pipeline(model: Path, inputs: tuple[Value, ...], *settings: str) -> Pipeline:
    source = find(model, kind=None, inputs=inputs, settings=settings)
    return Pipeline(str(source.folder), json.loads(json.dumps(source.options)))


@pytest.mark.parametrize(
    "settings",
    [{}, {"truncation_side": "left"}, {"split_special_tokens": True}],
    ids=["plain", "cut on the left", "split special tokens"],
)
def test_the_feeds_are_those_of_the_task(tmp_path: Path, bert: Path, settings: dict[str, object]) -> None:
    model, processor, inputs = saved(tmp_path, bert, **settings)
    made = pipeline(model, inputs)
    expected = TASK.requests(TASK.encode(ROWS, processor, CONTRACT), processor)
    assert {request["input_ids"].shape[1] for request in expected} > {3, 8}
    for row, request in zip(ROWS, expected, strict=True):
        feeds = made.before(row)
        assert feeds.keys() == request.keys() == {value.name for value in inputs}
        for name, array in request.items():
            np.testing.assert_array_equal(feeds[name], array)
            assert feeds[name].dtype == array.dtype == np.int64


def test_the_side_that_the_tokenizer_cut_last(tmp_path: Path, bert: Path) -> None:
    model, processor, inputs = saved(tmp_path, bert, truncation_side="left")
    (tmp_path / "tokenizer_config.json").unlink()
    (expected,) = TASK.encode(ROWS[2:3], processor, CONTRACT)
    np.testing.assert_array_equal(pipeline(model, inputs).before(ROWS[2])["input_ids"][0], expected["input_ids"])


def test_only_what_the_model_takes_is_fed(tmp_path: Path, bert: Path) -> None:
    model, _, inputs = saved(tmp_path, bert)
    assert pipeline(model, inputs[:1]).before(ROWS[0]).keys() == {inputs[0].name}


def test_without_a_limit_nothing_is_cut(tmp_path: Path, bert: Path) -> None:
    model, _, inputs = saved(tmp_path, bert)
    assert pipeline(model, inputs, "max_length=null").before(ROWS[2])["input_ids"].shape == (1, 14)


def test_the_answer_is_a_label_with_its_probability(tmp_path: Path, bert: Path) -> None:
    model, _, inputs = saved(tmp_path, bert)
    made = pipeline(model, inputs)
    answer = made.after({"logits": np.log(np.float32([[0.2, 0.8]])) + 1000})
    assert answer == {"label": "positive", "score": pytest.approx(0.8, abs=1e-4)}
    assert pipeline(model, inputs, "labels=[]").after({"logits": np.float32([[3, 1]])})["label"] == 0
    with pytest.raises(ValueError, match=r"must have 'logits', got embedding"):
        made.after({"embedding": np.zeros((1, 4))})


def test_the_contract_may_tell_how_sure_and_whether_known(tmp_path: Path, bert: Path) -> None:
    model, _, inputs = saved(tmp_path, bert)
    made = pipeline(model, inputs, "temperature=2", "accept_above=1.4")
    logits = np.float32([[1.0, 1.0 + 2 * np.log(4)]])
    assert made.after({"logits": logits}) == {"label": "positive", "score": pytest.approx(0.8), "known": True}
    assert made.after({"logits": logits - 2})["known"] is True, "what all have in common says nothing"
    assert made.after({"logits": logits / 2})["known"] is False


def test_a_row_without_text_is_named(tmp_path: Path, bert: Path) -> None:
    model, _, inputs = saved(tmp_path, bert)
    with pytest.raises(ValueError, match=r"must have 'text', got \{'sentence': 'x'\}"):
        pipeline(model, inputs).before({"sentence": "x"})


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(RuntimeError, match="needs the package tokenizers.*pip install tokenizers"):
        Pipeline("anywhere", {})


def save_classifier(path: Path, inputs: tuple[Value, ...]) -> None:
    """Logits that are the mean of the tokens' embeddings."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    table = np.random.default_rng(0).normal(size=(128, 2)).astype(np.float32)
    constants = [numpy_helper.from_array(table, "table"), numpy_helper.from_array(np.int64([1]), "axis")]
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["embedded"]),
        helper.make_node("ReduceMean", ["embedded", "axis"], ["logits"], keepdims=0),
    ]
    ins = [helper.make_tensor_value_info(value.name, TensorProto.INT64, value.shape) for value in inputs]
    outs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 2])]
    graph = helper.make_graph(nodes, "classifier", ins, outs, constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)


def test_end_to_end_in_the_agent(tmp_path: Path, bert: Path) -> None:
    model, _, inputs = saved(tmp_path, bert)
    save_classifier(model, inputs)
    with Agent() as agent:
        loaded = agent.load(model, [ProviderSpec(name="CPUExecutionProvider")], 1)
        assert loaded.inputs == inputs
        source = find(model, kind=None, inputs=loaded.inputs)
        agent.pipeline(source.file, source.folder, source.options)
        for row in tiny.rows(5):
            agent.row(row)
        turn = agent.series("spans", 7, range(5))
        with pytest.raises(MeasureError, match="must have 'text', got 7"):
            agent.row(7)
    parts = [turn.detail[name] for name in ("before_ns", "inference_ns", "after_ns")]
    assert [sum(spans) for spans in zip(*parts, strict=True)] == list(turn.ns)
    assert len(turn.ns) == 7
    assert all(span > 0 for spans in parts for span in spans)
