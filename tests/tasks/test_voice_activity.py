"""Voice activity, by a net of one's own, and by an ONNX file that others made and nobody trains."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesft import api
from edgesft.data.rows import chosen
from edgesft.errors import InputError
from edgesft.pipeline.check import check
from edgesft.progress import Progress
from edgesft.spec.media import FramesSpec
from edgesft.spec.model import OnnxSpec
from edgesft.spec.training import ResolvedTraining
from edgesft.stages.export.checks import file_run
from edgesft.stages.export.installed import install
from edgesft.tasks.models import onnx_file
from edgesft.tasks.voice_activity import VoiceActivity
from tests import chain

soundfile = pytest.importorskip("soundfile")

HERE = Path(__file__).parent
FRAMES = {"rate": 4000, "window": 144, "hop": 128, "taper": "none", "features": "samples"}
TASK = VoiceActivity(FramesSpec(**FRAMES))  # type: ignore[arg-type]


def spoken(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Faint noise, in which for half a second there is more."""
    rng, found = np.random.default_rng(seed), []
    for _ in range(count):
        samples, start = 0.01 * rng.standard_normal(6000), round(rng.uniform(0, 1), 3)
        samples[round(start * 4000) : round((start + 0.5) * 4000)] *= 20
        found.append({"audio": samples.astype(np.float32), "speech": [[start, start + 0.5]]})
    return found


def model(folder: Path) -> Path:
    """A file as others export: free axes, a rate as input, axes of the state in their order, weights in two halves."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(0)
    float_ = TensorProto.FLOAT
    inputs = [
        helper.make_tensor_value_info("input", float_, ["batch", "sequence"]),
        helper.make_tensor_value_info("state", float_, [2, "batch", 16]),
        helper.make_tensor_value_info("sr", TensorProto.INT64, []),
    ]
    outputs = [
        helper.make_tensor_value_info("output", float_, ["batch", 1]),
        helper.make_tensor_value_info("stateN", float_, [2, "batch", 16]),
    ]
    weights = {
        "near": 0.1 * rng.standard_normal((144, 16)),
        "far": 0.1 * rng.standard_normal((144, 48)),
        "last": np.ones((64, 1)),
    }
    tensors = [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()]
    tensors += [
        numpy_helper.from_array(np.array(value, np.float32), name) for name, value in (("six", -6), ("k", 4000))
    ]
    nodes = [
        helper.make_node("Concat", ["near", "far"], ["weight"], axis=1),
        helper.make_node("MatMul", ["input", "weight"], ["x"], name="first"),
        helper.make_node("Abs", ["x"], ["level"]),
        helper.make_node("MatMul", ["level", "last"], ["sum"], name="second"),
        helper.make_node("Cast", ["sr"], ["rate"], to=float_),
        helper.make_node("Div", ["rate", "k"], ["one"]),
        helper.make_node("Mul", ["sum", "one"], ["scaled"]),
        helper.make_node("Add", ["scaled", "six"], ["logit"]),
        helper.make_node("Sigmoid", ["logit"], ["output"]),
        helper.make_node("Identity", ["state"], ["stateN"]),
    ]
    graph = helper.make_graph(nodes, "vad", inputs, outputs, tensors)
    place = folder / "vad.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), str(place))
    return place


def recipe(folder: Path, **changes: Any) -> Path:
    folder.mkdir(exist_ok=True)
    for seed, name in enumerate(("train", "test")):
        lines = ["audio,speech"]
        for number, row in enumerate(spoken(8, seed)):
            soundfile.write(folder / f"{name}{number}.wav", row["audio"], 4000, subtype="FLOAT")
            lines.append(f'{name}{number}.wav,"{json.dumps(row["speech"])}"')
        (folder / f"{name}.csv").write_text("\n".join(lines) + "\n", "utf-8")
    changes = {
        "model": {"onnx": str(model(folder)), "states": {"state": "stateN"}, "constants": {"sr": 4000}},
        "data": {"train": "train.csv", "validation": 0.5, "test": "test.csv", "frames": FRAMES},
        "stages": ({"stage": "quantize", "scheme": "int8-dynamic", "keep": "always"},),
        "budget": {"size_ratio": 0.6, "min_metric": {"auroc": 0.8}},
        **changes,
    }
    return chain.write(folder, HERE, task="voice-activity", **changes)


def test_a_file_of_others_goes_through_the_chain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGESFT_STORE", str(tmp_path / "store"))
    result = api.run(recipe(tmp_path), output=tmp_path / "run", progress=Progress(quiet=True))
    results = json.loads((tmp_path / "run" / "results.json").read_text("utf-8"))
    assert result.verdict == "pass"
    assert [row["name"] for row in results["stages"]] == ["model", "quantize"]
    assert all(row["metrics"]["test"]["auroc"] > 0.9 for row in results["stages"])
    assert results["stages"][0]["parameters"] > 64 * 144
    packed = api.pack(tmp_path / "run", output=tmp_path / "bundle")
    assert api.verify(packed.path).holds
    contract = json.loads((tmp_path / "bundle" / "contract.json").read_bytes())
    assert [each["name"] for each in contract["inputs"]] == ["input", "state"] and contract["labels"] == ["speech"]
    assert contract["preparation"]["columns"] == ["audio"], "what a device calls the sound in a row"
    assert contract["decoding"]["kind"] == "probability" and 0 < contract["decoding"]["threshold"] < 1


def test_installed_it_answers_as_it_did(tmp_path: Path) -> None:
    import onnx

    source = onnx_file.resolve(
        OnnxSpec(onnx=str(model(tmp_path)), states={"state": "stateN"}, constants={"sr": 4000}), tmp_path
    )
    contract = TASK.contract([], TASK.implied(source, {}))
    processor = TASK.load_processor(source, contract)
    examples = TASK.encode(spoken(2), processor, contract)
    install(source, TASK, processor, contract, examples, tmp_path / "ours.onnx")
    graph = onnx.load(str(tmp_path / "ours.onnx")).graph
    assert [value.name for value in graph.input] == ["input", "state"]
    assert "Concat" not in {node.op_type for node in graph.node} and "Cast" not in {node.op_type for node in graph.node}
    ours, theirs = file_run({"model": tmp_path / "ours.onnx"}), file_run({"model": source.path})

    def both(feeds: Any, graph: str = "model") -> dict[str, np.ndarray]:
        expected = theirs({**feeds, "sr": np.array(4000)})
        assert np.allclose(ours(feeds)["output"], expected["output"], atol=1e-6)
        return expected

    predictions, references = TASK.predict(both, examples, processor), TASK.references(examples)
    assert predictions.shape == references.shape == (2, 47)
    assert TASK.score(predictions, references, contract)["auroc"] > 0.9
    told = TASK.evaluate(predictions, references, contract.extended(TASK.calibrate(predictions, references, contract)))
    assert told["averages"]["missed"] < 0.1 and told["averages"]["false_alarms"] < 0.1


def test_frames_are_speech_where_half_of_what_is_new_is(tmp_path: Path) -> None:
    source = onnx_file.resolve(OnnxSpec(onnx=str(model(tmp_path)), states={"state": "stateN"}), tmp_path)
    contract = TASK.contract([], {**TASK.implied(_with_rate(source), {})})
    processor = TASK.load_processor(source, contract)
    row = {"audio": np.zeros(500, np.float32), "speech": f"[[{64 / 4000}, {320 / 4000}]]"}
    (example,) = TASK.encode([row], processor, contract)
    assert example["labels"].tolist() == [1, 1, 1, 0]
    pieces = VoiceActivity(FramesSpec(**FRAMES, seconds=0.064)).disturb(  # type: ignore[arg-type]
        [example], processor, ResolvedTraining(), np.random.default_rng(0)
    )
    assert len(pieces[0]["labels"]) == 2 and len(pieces[0]["samples"]) in (256, 244)


def _with_rate(source: onnx_file.OnnxFile) -> onnx_file.OnnxFile:
    return onnx_file.OnnxFile(source.path, source.states, {"sr": 4000})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["model.states={state: stateM}"], "model.states: must be of output, stateN, got 'stateM'"),
        (["model.states={}"], "model: must have one input that is no state, got input, state"),
        (["model.constants={}"], "model: must have one input that is no state, got input, sr"),
        (["model.constants={rate: 1}"], "model.constants: must be of input, state, sr, got 'rate'"),
        (["model.onnx=none.onnx"], "none.onnx"),
        (["model=vad.onnx"], "must say what the file is"),
        (
            ["task=text-classification", "data.columns={text: audio, label: speech}"],
            "must give logits, got output",
        ),
        (["stages=[{stage: finetune}]"], "'finetune' must start from a torch model. Got onnx from 'model'"),
        (["stages=[{stage: prune, parameters: 0.5}]"], "'prune' must start from a torch model"),
    ],
)
def test_bad_recipes(settings: list[str], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        check(recipe(tmp_path), settings)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("speech", "message"),
    [("[[1, 0.5]]", "pairs of seconds"), ("soon", "pairs of seconds"), ("[]", "somebody must speak")],
)
def test_rows_that_do_not_say_when(speech: str, message: str) -> None:
    (found,) = TASK.check({"train": [{"audio": "a.wav", "speech": speech}]})
    assert message in found.message


def test_rows_are_told_by_the_numbers_that_they_were_read_by() -> None:
    rows = [{"audio": f"{number}.wav", "speech": speech} for number, speech in enumerate(("[]", "[[0, 1]]", "soon"))]
    (found,) = TASK.check({"train": chosen(rows, np.array([1, 2]))})
    assert "got 'soon' in row 3" in found.message


def test_what_there_is_none_of_has_no_share() -> None:
    contract = TASK.contract([], {"frames": FRAMES})
    answers = np.array([[0.9, 0.2]], np.float32)
    for truth, missed, false in (([[1, 1]], 0.5, None), ([[0, 0]], None, 0.5)):
        told = TASK.evaluate(answers, np.array(truth), contract)["averages"]
        assert (told["missed"], told["false_alarms"]) == (missed, false)


def test_what_is_no_number_is_wrong() -> None:
    contract, truth = TASK.contract([], {"frames": FRAMES}), np.array([[1, 0, 1, 0]])
    answers = np.array([[np.nan, np.nan, 0.9, 0.1]], np.float32)
    assert TASK.score(answers, truth, contract) == {"auroc": 0.25}
    told = TASK.evaluate(answers, truth, contract)["averages"]
    assert (told["missed"], told["false_alarms"]) == (0.5, 0.5)


def test_a_net_of_ones_own_learns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGESFT_STORE", str(tmp_path / "store"))
    mine = {"factory": "nets:speaking", "path": str(HERE), "inputs": ["frames"], "states": {"hidden": [8]}}
    stages = ({**chain.STAGES[0], "epochs": 30, "learning_rate": 1.0e-2},)
    place = recipe(tmp_path, model=mine, stages=stages, budget={"min_metric": {"auroc": 0.8}})
    assert api.run(place, output=tmp_path / "run", progress=Progress(quiet=True)).verdict == "pass"
