"""The kit in C++ on models that answer token by token: what it says is what the kit in Python and torch say."""

from __future__ import annotations

import ctypes
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesft.cli.main import main
from edgesft.measure.recording import recordings
from tests.export import graphs
from tests.export.native import Kit
from tests.export.test_cpp import same
from tests.export.test_js_writing import BLANKS, CHANCES, reference, rows, trimming
from tests.export.test_python_writing import GENERATION, PROMPTS, TO_TEXT, unending
from tests.ship import runs

Open = Callable[[Path], Kit]

Run = Callable[..., Any]


@pytest.mark.parametrize("chances", CHANCES, ids=len)
@pytest.mark.parametrize("task", [GENERATION, TO_TEXT])
@pytest.mark.parametrize("form", ["bundle", "bundle.zip"])
def test_it_says_what_the_kit_in_python_says(
    opened: Open, said: Mapping[str, Path], task: str, form: str, chances: Mapping[str, Any]
) -> None:
    kit = opened(said[task].parent / form)
    for row, expected in zip(rows(task), reference(said[task], task, chances), strict=True):
        pieces = list[str]()
        found = kit.say(row, 20, pieces.append, **chances)
        assert {name: found[name] for name in expected} == expected
        assert "".join(pieces) == found["text"] and len(pieces) >= len(found["tokens"])
        assert len(found["step_ns"]) >= len(found["tokens"]) - 1
    assert not kit.call("golden").strip()


@pytest.mark.parametrize("task", [GENERATION, TO_TEXT])
def test_prompts_are_the_tokens_that_training_saw(opened: Open, said: Mapping[str, Path], task: str) -> None:
    import kit

    ours, theirs = opened(said[task]), kit.open_bundle(said[task])
    further = [{"text": "go on"}, {"prompt": 1, "context": "so", "system": "b"}] if task == GENERATION else []
    for row in [*rows(task), *further]:
        (mine,), (other,) = ours.inputs(row), theirs.preparation(row)
        assert mine["input_ids"].tolist() == other.feeds["input_ids"].tolist()


def test_blanks_are_python_s(opened: Open, said: Mapping[str, Path], tmp_path: Path) -> None:
    import kit

    bundle = trimming(said[GENERATION], tmp_path)
    ours, theirs = opened(bundle), kit.open_bundle(bundle)
    for row in BLANKS:
        (mine,), (other,) = ours.inputs(row), theirs.preparation(row)
        assert mine["input_ids"].tolist() == other.feeds["input_ids"].tolist()


def test_greedy_answers_are_torch_s(
    opened: Open, said: Mapping[str, Path], llama: Path, t5: Path, tmp_path: Path
) -> None:
    import torch
    from transformers import LlamaForCausalLM, T5ForConditionalGeneration

    different = list[int]()
    for task, loader, folder in ((GENERATION, LlamaForCausalLM, llama), (TO_TEXT, T5ForConditionalGeneration, t5)):
        model = loader.from_pretrained(folder, dtype=torch.float32).eval()
        model.generation_config.eos_token_id = None
        kit = opened(unending(said[task], tmp_path / task))
        for row in rows(task):
            (feeds,) = kit.inputs(row)
            prompt = torch.from_numpy(feeds["input_ids"])
            whole = model.generate(prompt, do_sample=False, max_new_tokens=30, pad_token_id=0)[0].tolist()
            found = kit.say(row, 30)
            assert found["tokens"] == whole[-30:] and found["end"] == "length"
            different.append(len({*found["tokens"]}))
    assert max(different) > 5


def test_answers_are_bounded(opened: Open, said: Mapping[str, Path], tmp_path: Path) -> None:
    kit = opened(unending(said[GENERATION], tmp_path))
    found = kit.say({"prompt": "x" * 88}, 1000)
    assert (found["end"], found["prompt"], len(found["tokens"])) == ("cache", 90, 7)
    pieces = list[str]()
    found = kit.say({"prompt": "x"}, 20, lambda piece: pieces.append(piece) or len(pieces) == 5)
    assert found["end"] == "cancelled" and len(found["tokens"]) == 5 and found["text"].startswith("".join(pieces))
    plain = json.loads(kit.call("say", b'{"prompt": "x"}', 5, None, None, None))
    assert plain["tokens"] == found["tokens"]
    assert kit.answer({"prompt": "x"})["tokens"] == 96 - plain["prompt"] + 1


@pytest.mark.parametrize(
    ("task", "row", "how", "told"),
    [
        (GENERATION, {"prompt": " "}, {}, "must hold words, got none"),
        (GENERATION, {"prompt": "x", "system": " "}, {}, "must hold words, got none"),
        (GENERATION, {"messages": []}, {}, "a list of objects"),
        (GENERATION, {"messages": "hi"}, {}, "a list of objects"),
        (GENERATION, {"messages": [{"role": "user"}]}, {}, "must hold words, got nothing"),
        (GENERATION, {"messages": [{"role": "tool", "content": "x"}]}, {}, "tool after start"),
        (GENERATION, {"messages": [{"role": "user", "content": "x"}] * 2}, {}, "user after user"),
        (GENERATION, {"messages": [{"role": "assistant", "content": "y"}]}, {}, "must end with one"),
        (GENERATION, {"question": "x"}, {}, "must have 'prompt' or 'messages', got question"),
        (GENERATION, {"prompt": "x" * 99}, {}, "at most 96 tokens, all that this model can remember, got 101"),
        (GENERATION, {"prompt": "x"}, {"most": 0}, "max_tokens must be at least 1, got 0"),
        (GENERATION, {"prompt": "x"}, {"temperature": -1}, "must be at least 0"),
        (GENERATION, {"prompt": "x"}, {"temperature": float("nan")}, "must be at least 0"),
        (GENERATION, {"prompt": "x"}, {"top_k": -1}, "must be at least 0"),
        (GENERATION, {"prompt": "x"}, {"top_p": 0}, "top_p above 0"),
        (GENERATION, {"prompt": "x"}, {"top_p": 1.1}, "top_p above 0"),
        (TO_TEXT, {"input": " "}, {}, "must hold words, got none"),
        (TO_TEXT, {"input": "x" * 40}, {}, "at most 32 tokens, as in training, got 41"),
        (TO_TEXT, {"prompt": "x"}, {}, "must have 'input'"),
    ],
)
def test_what_cannot_be_asked(
    opened: Open, said: Mapping[str, Path], task: str, row: Any, how: dict[str, Any], told: str
) -> None:
    kit = opened(said[task])
    with pytest.raises(ValueError, match=told) as error:
        kit.say(row, **how)
    assert str(error.value).startswith("2 ")


def test_a_model_that_does_not_write(opened: Open, made: Mapping[str, Path]) -> None:
    with pytest.raises(
        ValueError, match="2 a bundle must answer token by token to be asked so, got one that gives classes"
    ):
        opened(made["text"]).say({"text": "x"})


def test_a_template_that_is_no_table_is_told(opened: Open, said: Mapping[str, Path], tmp_path: Path) -> None:
    other = runs.copy(said[GENERATION], tmp_path / "b")
    runs.edit(other / "contract.json", lambda told: told["preparation"].pop("turns"))
    runs.seal(other)
    with pytest.raises(ValueError, match="1 contract.json: preparation.turns must be there"):
        opened(other).say({"prompt": "x"})
    assert opened(other).say({"text": "x"}, 2)["prompt"] == 2


def named(name: str, value: Any) -> Callable[[Any], None]:
    return lambda told: told["decoding"].update({name: value})


def linked(links: Any) -> Callable[[Any], None]:
    return lambda told: told.update(links=links)


@pytest.mark.parametrize(
    ("task", "change", "told"),
    [
        (GENERATION, named("output", "scores"), "inputs and outputs that model has, got 'scores'"),
        (GENERATION, named("keep", "kept"), "inputs and outputs that model has, got 'kept'"),
        (GENERATION, named("cache", {"past_key_9": "present_key_0"}), "that model has, got 'past_key_9'"),
        (GENERATION, named("cache", {"past_key_0": "present_key_9"}), "that model has, got 'present_key_9'"),
        (GENERATION, named("stop", "x"), "stop must be a list"),
        (GENERATION, named("reader", {"graph": "encoder", "tokens": "input_ids"}), "graphs must be model, encoder"),
        (GENERATION, linked({"model": {"encoder": {"input_ids": "x"}}}), "got encoder's 'x' → model's 'input_ids'"),
        (TO_TEXT, named("reader", {"graph": "encoder", "tokens": "words"}), "that encoder has, got 'words'"),
        (TO_TEXT, named("reader", None), "graphs must be model for a model that writes, got encoder, model"),
        (TO_TEXT, linked({"model": {"encoder": {"cross_key_0": "cross"}}}), "outputs to inputs that the graphs have"),
        (TO_TEXT, linked({"model": {"encoder": {"input_ids": "cross_key_0"}}}), "of one type and as many axes"),
        (
            TO_TEXT,
            linked({"model": {"model": {"cross_key_0": "present_key_0"}}}),
            "from graph to graph and never back",
        ),
        (TO_TEXT, lambda told: told.pop("graphs"), "graphs must be model, got model, encoder"),
    ],
)
def test_contracts_that_do_not_fit_their_graphs(
    run: Run, said: Mapping[str, Path], task: str, change: Callable[[Any], None], told: str, tmp_path: Path
) -> None:
    spoilt = runs.copy(said[task], tmp_path / "b")
    runs.edit(spoilt / "contract.json", change)
    runs.seal(spoilt)
    assert told in run(spoilt, code=1).stderr


def test_graphs_that_are_no_files_of_their_variant(run: Run, said: Mapping[str, Path], tmp_path: Path) -> None:
    for place, graph in enumerate(
        ({"encoder": "contract.json"}, {"encoder": "models/fp32/model.onnx"}, {"model": "models/fp32/encoder.onnx"})
    ):
        spoilt = runs.copy(said[TO_TEXT], tmp_path / str(place))
        runs.seal(spoilt, lambda told, graph=graph: told["variants"][0].update(graphs=graph))
        assert "must list files" in run(spoilt, code=1).stderr
    lost = runs.copy(said[TO_TEXT], tmp_path / "lost")
    runs.seal(lost, lambda told: told["variants"][0].pop("graphs"))
    assert "graphs must be model, encoder, got model" in run(lost, code=1).stderr
    changed = runs.copy(said[TO_TEXT], tmp_path / "changed")
    file = changed / "models/fp32/encoder.onnx"
    file.write_bytes(file.read_bytes()[:-1] + b"\0")
    assert "models/fp32/encoder.onnx: must have the sha256" in run(changed, code=1).stderr


@pytest.mark.parametrize("task", [GENERATION, TO_TEXT])
def test_golden_rows_are_missed_where_the_model_is_another(
    run: Run, said: Mapping[str, Path], task: str, tmp_path: Path
) -> None:
    assert "hold" in run(said[task].parent / "bundle.zip", "--golden").stderr
    spoilt, crossed = (runs.copy(said[task], tmp_path / name) for name in "bc")

    def turn(told: Any) -> None:
        told["rows"][0]["row"] = {"prompt": "other", "input": "other"}
        for row in told["rows"]:
            (tokens,) = (each["tokens"] for each in row["outputs"].values())
            tokens |= runs.packed(np.full(tokens["shape"], 5, np.int64))

    runs.edit(spoilt / "golden.json", turn)
    runs.seal(spoilt)
    told = run(spoilt, "--golden", code=1).stderr
    assert "'tokens' must be within" in told and "golden row 1: input_ids must be what was packed" in told

    def cross(told: Any) -> None:
        cache = told["decoding"]["cache"]
        cache["past_key_0"], cache["past_value_0"] = cache["past_value_0"], cache["past_key_0"]

    runs.edit(crossed / "contract.json", cross)
    runs.seal(crossed)
    assert "'scores' must be within" in run(crossed, "--golden", code=1).stderr


def test_the_command(run: Run, said: Mapping[str, Path], tmp_path: Path) -> None:
    words = ("--max-tokens", 20, "--temperature", 0.9, "--top-k", 20, "--top-p", 0.95, "--seed", 3)
    done = run(said[GENERATION], "--text", PROMPTS[0], *words)
    assert done.stdout == reference(said[GENERATION], GENERATION, CHANCES[1])[0]["text"] + "\n"
    assert "ended by" in done.stderr and "first after" in done.stderr
    (tmp_path / "rows.jsonl").write_text('{"prompt": "hi", "system": "be brief"}\n{"text": "x"}\n')
    first, second = run(said[GENERATION], "--file", tmp_path / "rows.jsonl", "--max-tokens", 3).stdout.splitlines()
    assert json.loads(second)["prompt"] == 2 and len(json.loads(first)["tokens"]) <= 3
    again = run(said[GENERATION], "--text", "hi", "--system", "be brief", "--max-tokens", 3).stdout
    assert again == json.loads(first)["text"] + "\n"
    assert json.loads(run(said[TO_TEXT]).stdout)["task"] == TO_TEXT
    for wrong, told in (
        (("--max-tokens", "x"), "--max-tokens must be a whole number, got 'x'"),
        (("--seed", "-1"), "--seed must be a whole number, got '-1'"),
        (("--temperature", "hot"), "--temperature must be a number"),
        (("--top-p", "0"), "top_p above 0"),
        (("--max-tokens", "0"), "max_tokens must be at least 1"),
    ):
        assert told in run(said[GENERATION], "--text", "x", *wrong, code=2).stderr


@pytest.mark.parametrize("task", [GENERATION, TO_TEXT])
@pytest.mark.parametrize("form", ["bundle", "bundle.zip"])
def test_its_pace_gates(run: Run, said: Mapping[str, Path], task: str, form: str, tmp_path: Path) -> None:
    short = ("--samples", 60, "--seconds", 0.05, "--rounds", 5, "--warmup-seconds", 0.05, "--max-tokens", 8)
    lines = tmp_path / "device.jsonl"
    lines.write_text(run(said[task].parent / form, "--measure", *short).stdout)
    (found,) = recordings(lines)
    assert len(found.measurement.samples) >= 60 and found.openings and len(found.openings) == 5
    model, budget = said[task] / "models/fp32/model.onnx", tmp_path / "budget.yaml"
    for pace, first, code in ((1e-3, 1e6, 0), (1e9, 1e6, 1), (1e-3, 1e-6, 1)):
        limits = f"tokens_per_second: {pace}\nfirst_token_ms: {{p50: {first}}}\n"
        budget.write_text(f"version: 1\nprofile: x86-1-thread\n{limits}")
        words = ["check", model, "--budget", budget, "--measurements", lines]
        assert main([str(word) for word in words]) == code


def test_what_is_measured_leaves_a_kit_that_answers(opened: Open, run: Run, said: Mapping[str, Path]) -> None:
    for task in (GENERATION, TO_TEXT):
        kit = opened(said[task])
        before = kit.say(rows(task)[0])["tokens"]
        assert '"op":"opening"' in kit.call("measure", ctypes.c_double(0.01))
        assert kit.say(rows(task)[0])["tokens"] == before
    none = ("--measure", "--text", "x" * 94, "--seconds", 0, "--warmup-seconds", 0)
    assert "must leave room for two tokens" in run(said[GENERATION], *none, code=2).stderr


def test_a_model_of_two_graphs(opened: Open, made: Mapping[str, Path], run: Run, tmp_path: Path) -> None:
    several = graphs.split(made["text"], tmp_path / "b")
    ours, theirs = opened(several), opened(made["text"])
    for row in graphs.answers(made["text"]):
        same(ours.answer(row), theirs.answer(row))
    assert not ours.call("golden").strip()
    assert "must be one graph to be measured so" in run(several, "--measure", code=4).stderr


def test_what_all_inputs_begin_with_is_written_before_them(
    opened: Open, said: Mapping[str, Path], tmp_path: Path
) -> None:
    import kit

    other = runs.copy(said[TO_TEXT], tmp_path / "b")
    runs.edit(other / "contract.json", lambda told: told["preparation"].update(prefix="say it: "))
    runs.seal(other)
    row = {"input": "say 3"}
    expected = kit.open_bundle(other).say(row, 20)
    assert opened(other).say(row)["tokens"] == expected.tokens and expected.prompt == len("say it: say 3") + 1
