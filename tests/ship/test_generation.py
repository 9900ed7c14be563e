"""Bundles of models that answer token by token, of one graph and of two: what they hold, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesft.errors import InputError
from edgesft.measure.devices import HERE
from edgesft.measure.generation import Decoder
from edgesft.ship import generation, golden
from edgesft.ship.pack import Order, pack
from edgesft.ship.session import Place
from edgesft.ship.verify import verify
from tests import tiny
from tests.ship import runs
from tests.ship.conftest import QUIET
from tests.ship.runs import edit, edit_model, seal
from tests.ship.spoken import run_of

CACHED, ENCODER, DECODER = "past_key_0", "models/fp32/encoder.onnx", "models/fp32/model.onnx"


@pytest.fixture(scope="module")
def told(spoken: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of a decoder; read only."""
    folder = tmp_path_factory.mktemp("told")
    return pack(Order(run_of(spoken, folder, tiny.asked(12)), folder / "bundle"), QUIET).path


@pytest.fixture(scope="module")
def turned(put: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of an encoder-decoder; read only."""
    folder = tmp_path_factory.mktemp("turned")
    return pack(Order(run_of(put, folder, tiny.translated(12)), folder / "bundle"), QUIET).path


def read(bundle: Path, name: str) -> Any:
    return json.loads((bundle / name).read_bytes())


@pytest.mark.parametrize("kind", ["told", "turned"])
def test_it_holds_and_has_the_same_bytes_again(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    bundle = request.getfixturevalue(kind)
    assert verify(bundle).checks == {
        **dict.fromkeys(("files", "version", "contract", "models", "golden"), "holds"),
        "signature": "not signed",
    }
    again = pack(Order(bundle.parent / "run", tmp_path / "again"), QUIET)
    assert runs.contents(again.path) == runs.contents(bundle)
    whole = Order(bundle.parent / "run", tmp_path / "b.zip", variants=("model",))
    assert verify(pack(whole, QUIET).path).holds


def test_it_holds_where_each_graph_has_an_agent(turned: Path) -> None:
    report = verify(turned, place=Place(machine=HERE))
    assert report.holds and report.checks["golden"].startswith("holds, on CPUExecutionProvider of")


def test_every_graph_is_a_file_of_its_variant(turned: Path) -> None:
    said, (model, ort) = read(turned, "contract.json"), read(turned, "manifest.json")["variants"]
    assert model["files"] == [DECODER, ENCODER] and model["graphs"] == {"encoder": ENCODER} and not model["static"]
    assert ort["graphs"] == {"encoder": "models/fp32-ort/encoder.ort"} and ort["form"] == "ort"
    assert "processor/encoder.onnx" not in read(turned, "manifest.json")["files"]
    assert [each["name"] for each in said["graphs"]["encoder"]["inputs"]] == ["input_ids"]
    assert said["links"] == {"model": {"encoder": {name: name for name in ("cross_key_0", "cross_value_0")}}}
    assert said["decoding"]["reader"] == {"graph": "encoder", "tokens": "input_ids"} and said["decoding"]["begin"] == 0
    assert "several graphs, encoder, model" in read(turned, "lineage.json")["left_out"]["static"]


def test_what_stands_between_turns_is_a_table(told: Path) -> None:
    said = read(told, "contract.json")
    assert (
        said["preparation"]["turns"]["user"] == {"asked": "\n", "assistant": "\n"}
        and said["preparation"]["trimmed"] == []
    )
    assert "keep" in said["decoding"] and "graphs" not in said and "links" not in said
    assert "cache grows" in read(told, "lineage.json")["left_out"]["static"]


@pytest.mark.parametrize("kind", ["told", "turned"])
def test_golden_rows_are_prompts_with_what_greedy_decoding_says(kind: str, request: pytest.FixtureRequest) -> None:
    bundle = request.getfixturevalue(kind)
    said, rows = read(bundle, "contract.json"), golden.load(read(bundle, "golden.json")).rows
    variant = read(bundle, "manifest.json")["variants"][0]
    files = {graph: bundle / file for graph, file in {**variant.get("graphs", {}), "model": variant["file"]}.items()}
    decoder = Decoder(files, said["options"])
    for row in rows:
        (prompt,) = row.inputs.values()
        answer, outputs = decoder.answer(prompt[0].tolist(), generation.MOST), row.outputs["fp32"]
        tokens = outputs[generation.TOKENS].tolist()
        assert tokens == answer.tokens + (tokens[-1:] if answer.end == "stop" else [])
        assert outputs["logits"].argmax() == tokens[0] and outputs["logits"].shape == (259,)
        assert outputs[generation.SCORES][0] == outputs["logits"].max() and (outputs[generation.MARGINS] >= 0).all()
        assert row.row is not None and set(row.row) == set(said["preparation"]["columns"])


def test_conversations_are_asked_up_to_their_first_answer(spoken: Path, tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}]
    rows = [{"messages": [*turns, {"role": "user", "content": "?"}, {"role": "assistant", "content": "!"}]}] * 2
    run = run_of(spoken, tmp_path, rows, columns={"messages": "messages"})
    bundle = pack(Order(run, tmp_path / "b", variants=("model",), rows=1), QUIET).path
    (row,) = read(bundle, "golden.json")["rows"]
    assert row["row"] == {"messages": turns[:1]} and verify(bundle).holds


def test_texts_that_only_go_on_have_no_question(spoken: Path, tmp_path: Path) -> None:
    run = run_of(spoken, tmp_path, [{"text": "once upon a time"}] * 2, columns={"text": "text"})
    bundle = pack(Order(run, tmp_path / "b", variants=("model",), rows=1), QUIET).path
    (row,) = golden.load(read(bundle, "golden.json")).rows
    assert row.row is None and row.inputs["input_ids"].tolist() == [[1]]


def test_prompts_of_one_s_own(turned: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "rows.npz", input_ids=np.asarray([[40, 50, 1]]))
    order = Order(turned.parent / "run", tmp_path / "b", inputs=tmp_path / "rows.npz", variants=("model",))
    bundle = pack(order, QUIET).path
    (row,) = golden.load(read(bundle, "golden.json")).rows
    assert row.inputs["input_ids"].tolist() == [[40, 50, 1]] and row.row is None and verify(bundle).holds


def test_a_run_that_lost_a_graph(turned: Path, tmp_path: Path) -> None:
    run = runs.copy(turned.parent / "run", tmp_path / "run")
    (run / "encoder.onnx").unlink()
    with pytest.raises(InputError, match=r"folder with encoder\.onnx"):
        pack(Order(run, tmp_path / "b"), QUIET)


def on(name: str, change: Callable[[Any], Any]) -> Callable[[Path], Any]:
    return lambda folder: (edit if name.endswith(".json") else edit_model)(folder / name, change)


def swapped(folder: Path) -> None:
    one, other = (folder / ENCODER).read_bytes(), (folder / DECODER).read_bytes()
    (folder / ENCODER).write_bytes(other)
    (folder / DECODER).write_bytes(one)


def another_reader(model: Any) -> None:
    """Other weights, of the same look."""
    for each in model.graph.initializer:
        if len(each.dims) == 2:
            each.raw_data = np.roll(np.frombuffer(each.raw_data, np.float32), 7).tobytes()


def pointed(model: Any) -> None:
    tensor = next(each for each in model.graph.initializer if len(each.dims) == 2)
    tensor.ClearField("raw_data")
    tensor.data_location = 1
    tensor.external_data.add(key="location", value="../../golden.json")


def crossed(said: dict[str, Any]) -> None:
    """A cache that is handed on to another layer's place."""
    cache = said["decoding"]["cache"]
    cache["past_key_0"], cache["past_value_0"] = cache["past_value_0"], cache["past_key_0"]


def links(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], Any]:
    return on("contract.json", lambda said: change(said["links"]["model"]["encoder"]))


def decoding(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], Any]:
    return on("contract.json", lambda said: change(said["decoding"]))


def graphs(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], Any]:
    """Changes the first variant of the manifest, and seals it anew."""
    return lambda folder: seal(folder, lambda said: change(said["variants"][0]))


def narrower(said: dict[str, Any]) -> None:
    for each in said["graphs"]["encoder"]["outputs"]:
        each["shape"][3] = 4


def in_a_circle(said: dict[str, Any]) -> None:
    said["links"]["encoder"] = {"model": {"input_ids": "logits"}}
    value = next(each for each in said["outputs"] if each["name"] == "logits")
    value |= {"dtype": "int64", "shape": ["batch", "sequence"]}


def tokens(value: list[int]) -> Callable[[Path], Any]:
    """Golden answers that say something else."""
    array = runs.packed(np.asarray(value, np.int64))

    def change(said: dict[str, Any]) -> None:
        for row in said["rows"]:
            row["outputs"]["fp32"]["tokens"] = array

    return on("golden.json", change)


ATTACKS: Mapping[str, tuple[Callable[[Path], Any], str, str]] = {
    "swapped files": (swapped, "model", "inputs must be input_ids, which contract.json says; got input_ids, cross"),
    "another encoder": (on(ENCODER, another_reader), "golden", "'logits' must be within"),
    "an encoder with weights outside": (on(ENCODER, pointed), "model", "no file but those of its variant"),
    "no encoder": (graphs(lambda said: said.pop("graphs")), "model", "must have the graphs encoder, model"),
    "an encoder of another name": (
        graphs(lambda said: said.update(graphs={"reader": ENCODER})),
        "model",
        "must have the graphs encoder, model",
    ),
    "the decoder as its encoder": (
        graphs(lambda said: said.update(graphs={"encoder": DECODER})),
        "manifest",
        "variants.graphs must name a file",
    ),
    "a graph of no file": (
        graphs(lambda said: said.update(graphs={"encoder": "x.onnx"})),
        "manifest",
        "variants.graphs must name a file",
    ),
    "a graph called model": (
        graphs(lambda said: said.update(graphs={"model": ENCODER})),
        "manifest",
        "variants.graphs must name a file",
    ),
    "no such cache": (decoding(lambda said: said["cache"].update(past_key_9="logits")), "contract", "'past_key_9'"),
    "a cache of no such output": (decoding(lambda said: said["cache"].update(past_key_0="x")), "contract", "got 'x'"),
    "a cache of other arrays": (
        decoding(lambda said: said["cache"].update(past_key_0="logits")),
        "contract",
        "cache.past_key_0 must be of the type and shape",
    ),
    "one cache for two": (
        decoding(lambda said: said["cache"].update(past_value_0=said["cache"][CACHED])),
        "contract",
        "must take an output for each input",
    ),
    "a crossed cache": (on("contract.json", crossed), "golden", "must be within"),
    "a cache left out": (decoding(lambda said: said["cache"].pop(CACHED)), "contract", "got nothing for 'past_key_0'"),
    "another token to begin by": (decoding(lambda said: said.update(begin=9)), "golden", "must be within"),
    "no token to begin by": (decoding(lambda said: said.pop("begin")), "contract", "with a token to begin by"),
    "a reader that is not there": (
        decoding(lambda said: said["reader"].update(graph="x")),
        "contract",
        "a graph beside model",
    ),
    "a link of no input": (links(lambda said: said.update(x="cross_key_0")), "contract", "got 'x' by 'cross_key_0'"),
    "a link of no output": (links(lambda said: said.update(cross_key_0="x")), "contract", "got 'cross_key_0' by 'x'"),
    "a link to a cache": (links(lambda said: said.update(past_key_0="cross_key_0")), "contract", "got several for"),
    "crossed links": (
        links(lambda said: said.update(cross_key_0="cross_value_0", cross_value_0="cross_key_0")),
        "golden",
        "must be within",
    ),
    "a link left out": (links(lambda said: said.pop("cross_key_0")), "contract", "got nothing for 'cross_key_0'"),
    "a link of no graph": (
        on("contract.json", lambda said: said["links"].update(x={}) or said["links"]["x"].update(y={})),
        "contract",
        "links must be of the graphs encoder, model",
    ),
    "links in a circle": (on("contract.json", in_a_circle), "contract", "got a circle of encoder, model"),
    "links of other widths": (on("contract.json", narrower), "contract", "must be of the type and shape"),
    "a graph that the contract calls model": (
        on("contract.json", lambda said: said["graphs"].update(model=said["graphs"]["encoder"])),
        "contract",
        "names of their own",
    ),
    "another answer": (tokens([5] * 24), "golden", "must be within"),
    "tokens of no word": (tokens([10**9] * 24), "golden", "tokens of the 259"),
    "fewer tokens than scores": (tokens([5] * 3), "golden", "a score and a margin for each"),
    "golden rows of one inference": (
        on("golden.json", lambda said: [each["outputs"]["fp32"].pop("margins") for each in said["rows"]]),
        "golden",
        "rows must hold lists of numbers of",
    ),
    "golden rows without a prompt": (
        on("golden.json", lambda said: [each["inputs"].clear() for each in said["rows"]]),
        "golden",
        "the tokens of a prompt",
    ),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_what_does_not_agree_is_refused(name: str, turned: Path, tmp_path: Path) -> None:
    do, kind, words = ATTACKS[name]
    broken = runs.copy(turned, tmp_path / "b")
    do(broken)
    if kind != "manifest" and "graphs" not in do.__qualname__.partition(".")[0]:
        seal(broken)
    report = verify(broken)
    assert any(each.kind == kind and words in each.message for each in report.findings), report.findings


def test_close_calls_decide_nothing() -> None:
    """Another token where two were nearly as likely is no other model; where one was sure it is."""
    scores = np.asarray([10.0, 0.0], np.float32)
    row = {"logits": scores, "tokens": np.asarray([3, 4, 5]), "scores": np.ones(3, np.float32)}
    expected = {**row, "margins": np.asarray([5.0, 0.01, 5.0], np.float32)}
    got = {**expected, "tokens": np.asarray([3, 7, 5])}
    one, other = generation.without_close_calls([expected], [got], 1e-3)
    assert one[0]["tokens"].tolist() == other[0]["tokens"].tolist() == [3, 5] and "margins" not in one[0]
    one, other = generation.without_close_calls([expected], [{**got, "tokens": np.asarray([9, 4, 5])}], 1e-3)
    assert one[0]["tokens"].tolist() != other[0]["tokens"].tolist()
