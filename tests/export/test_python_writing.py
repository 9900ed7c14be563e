"""The kit in Python on models that answer token by token: what it says is what edgesft and torch say."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgesft
from edgesft.cli.main import main
from edgesft.measure.generation import Sampling, Speaker
from edgesft.measure.recording import recordings
from edgesft.ship.pack import Order, pack
from tests import tiny
from tests.export.test_python import contract, kit
from tests.ship import runs
from tests.ship.conftest import QUIET
from tests.ship.spoken import run_of

GENERATION, TO_TEXT = "text-generation", "text-to-text"

PROMPTS = ("what is 1 and 1?", "a", "Ünïcödé 漢字 😀", "</s> what <s>")

TURNS: Sequence[Sequence[Mapping[str, str]]] = (
    [{"role": "user", "content": "what is 2?"}],
    [{"role": "system", "content": "be brief"}, {"role": "user", "content": " hi "}],
    [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "ho"},
        {"role": "user", "content": "what?"},
        {"role": "assistant", "content": "it </s> is"},
        {"role": "user", "content": "so"},
    ],
)


def unending(bundle: Path, folder: Path) -> Path:
    """The same bundle with nothing that ends an answer."""
    free = runs.copy(bundle, folder / "b")
    runs.edit(free / "contract.json", lambda said: said["decoding"].update(stop=[]))
    runs.seal(free)
    return free


@pytest.mark.parametrize("task", [GENERATION, TO_TEXT])
@pytest.mark.parametrize("form", ["bundle", "bundle.zip"])
def test_it_says_what_edgesft_says(task: str, form: str, said: dict[str, Path]) -> None:
    import kit
    from kit.writer import Sampling as Chances

    place = said[task].parent
    opened, speaker = kit.open_bundle(place / form), Speaker.of(place / "run")
    for prompt in PROMPTS:
        row = {"prompt": prompt} if task == GENERATION else {"input": prompt}
        for theirs, ours in (
            (Sampling(), Chances()),
            (Sampling(0.9, 20, 0.95, 3), Chances(0.9, 20, 0.95, 3)),
            (Sampling(2.0, 0, 1.0, 7), Chances(2.0, 0, 1.0, 7)),
        ):
            expected, pieces = speaker.say(prompt, 20, theirs), list[str]()
            answer = opened.say(row, 20, ours, pieces.append)
            assert (answer.tokens, answer.text, answer.end) == (
                expected.answer.tokens,
                expected.text,
                expected.answer.end,
            )
            assert answer.prompt == expected.prompt and "".join(pieces) == answer.text
    assert not list(opened.golden())


@pytest.mark.parametrize("messages", TURNS, ids=len)
def test_conversations_are_the_tokens_that_training_saw(messages: Any, said: dict[str, Path]) -> None:
    import kit

    opened, speaker = kit.open_bundle(said[GENERATION]), Speaker.of(said[GENERATION].parent / "run")
    (request,) = opened.preparation({"messages": messages})
    assert request.feeds["input_ids"][0].tolist() == speaker.task.prompt(messages, speaker._writer)
    assert opened.answer({"messages": messages})["text"] == speaker.say(messages).text


def test_greedy_answers_are_torch_s(said: dict[str, Path], llama: Path, t5: Path, tmp_path: Path) -> None:
    import kit
    import torch
    from transformers import LlamaForCausalLM, T5ForConditionalGeneration

    different = list[int]()
    loaders = ((GENERATION, LlamaForCausalLM, llama), (TO_TEXT, T5ForConditionalGeneration, t5))
    for task, loader, folder in loaders:
        model = loader.from_pretrained(folder, dtype=torch.float32).eval()
        model.generation_config.eos_token_id = None
        opened = kit.open_bundle(unending(said[task], tmp_path / task))
        for prompt in ([1, 40, 41, 42], [1], [91, 33, 60, 61, 62, 1]):
            whole = model.generate(torch.tensor([prompt]), do_sample=False, max_new_tokens=30, pad_token_id=0)[
                0
            ].tolist()
            answer = opened.writer.say(prompt, 30)
            assert answer.tokens == whole[-30:]
            different.append(len({*answer.tokens}))
            assert (answer.end, len(answer.step_ns)) == ("length", 29)
    assert max(different) > 5


def test_answers_are_bounded(said: dict[str, Path], tmp_path: Path) -> None:
    import kit
    from kit.errors import InputError

    opened = kit.open_bundle(unending(said[GENERATION], tmp_path))
    answer = opened.writer.say([1] * 90, 1000)
    assert (answer.end, len(answer.tokens)) == ("cache", 7)
    with pytest.raises(InputError, match="at most 96 tokens, all that this model can remember, got 101"):
        opened.say({"prompt": "x" * 99})
    with pytest.raises(InputError, match="at least one token"):
        opened.writer.say([])
    with pytest.raises(InputError, match="max_tokens must be at least 1"):
        opened.say({"prompt": "x"}, 0)
    reader = kit.open_bundle(said[TO_TEXT])
    with pytest.raises(InputError, match="at most 32 tokens, as in training, got 41"):
        reader.say({"input": "x" * 40})


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"prompt": " "}, "must hold words, got none"),
        ({"prompt": 1}, None),
        ({"messages": []}, "a list of objects"),
        ({"messages": "hi"}, "a list of objects"),
        ({"messages": [{"role": "user"}]}, "must hold words, got NoneType"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "tool after start"),
        ({"messages": [{"role": "user", "content": "x"}] * 2}, "user after user"),
        ({"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}]}, "must end with one"),
        ({"question": "x"}, "must have 'prompt' or 'messages', got question"),
        ([], "must be an object"),
    ],
)
def test_what_cannot_be_asked(row: Any, told: str | None, said: dict[str, Path]) -> None:
    import kit
    from kit.errors import InputError

    opened = kit.open_bundle(said[GENERATION])
    if told is None:
        assert opened.say(row, 1).prompt == len("<1\n")
        return
    with pytest.raises(InputError, match=told):
        opened.say(row)


def test_chance_has_bounds() -> None:
    from kit.errors import InputError
    from kit.writer import Sampling as Chances

    for wrong in ({"temperature": -1}, {"top_k": -1}, {"top_p": 0}, {"top_p": 1.1}, {"seed": -1}):
        with pytest.raises(InputError, match="must be at least 0"):
            Chances(**wrong)


def test_a_template_that_is_no_table_is_told(said: dict[str, Path], tmp_path: Path) -> None:
    import kit
    from kit.errors import BrokenError

    other = runs.copy(said[GENERATION], tmp_path / "b")
    runs.edit(other / "contract.json", lambda told: told["preparation"].pop("turns"))
    runs.seal(other)
    with pytest.raises(BrokenError, match="this template is no table"):
        kit.open_bundle(other).say({"prompt": "x"})
    assert kit.open_bundle(other).say({"text": "x"}, 2).prompt == 2


def test_the_command(said: dict[str, Path], tmp_path: Path) -> None:
    done = kit(said[GENERATION], "--text", "hi", "--system", "be brief", "--max-tokens", 5, "--temperature", 1.5)
    messages = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hi"}]
    expected = edgesft.generate(said[GENERATION].parent / "run", messages, 5, temperature=1.5)
    assert done.stdout == f"{expected.text}\n" and "ended by" in done.stderr and "first after" in done.stderr
    (tmp_path / "rows.jsonl").write_text('{"input": "say 3"}\n')
    (line,) = kit(said[TO_TEXT], "--file", tmp_path / "rows.jsonl", "--max-tokens", 3, "--golden").stdout.splitlines()
    assert len(json.loads(line)["tokens"]) <= 3 and json.loads(line)["prompt"] == 6
    assert "must hold words" in kit(said[GENERATION], "--text", " ", code=2).stderr
    assert "at most 96 tokens" in kit(said[GENERATION], "--text", "x" * 200, code=2).stderr


@pytest.mark.parametrize("task", [GENERATION, TO_TEXT])
def test_golden_rows_are_missed_where_the_model_is_another(task: str, said: dict[str, Path], tmp_path: Path) -> None:
    assert "hold" in kit(said[task].parent / "bundle.zip", "--golden").stderr
    spoilt = runs.copy(said[task], tmp_path / "b")

    def turn(told: Any) -> None:
        for row in told["rows"]:
            (tokens,) = (each["tokens"] for each in row["outputs"].values())
            tokens |= runs.packed(np.full(tokens["shape"], 5, np.int64))

    runs.edit(spoilt / "golden.json", turn)
    runs.seal(spoilt)
    assert "'tokens' must be within" in kit(spoilt, "--golden", code=1).stderr
    crossed = runs.copy(said[task], tmp_path / "c")

    def cross(told: Any) -> None:
        cache = told["decoding"]["cache"]
        cache["past_key_0"], cache["past_value_0"] = cache["past_value_0"], cache["past_key_0"]

    runs.edit(crossed / "contract.json", cross)
    runs.seal(crossed)
    assert "'scores' must be within" in kit(crossed, "--golden", code=1).stderr


@pytest.mark.parametrize("task", [GENERATION, TO_TEXT])
@pytest.mark.parametrize("form", ["bundle", "bundle.zip"])
def test_its_pace_gates(task: str, form: str, said: dict[str, Path], tmp_path: Path) -> None:
    short = ("--samples", 60, "--seconds", 0.05, "--rounds", 5, "--warmup-seconds", 0.05, "--max-tokens", 8)
    lines = tmp_path / "device.jsonl"
    lines.write_text(kit(said[task].parent / form, "--measure", *short).stdout)
    (found,) = recordings(lines)
    assert len(found.measurement.samples) >= 60 and found.openings and len(found.openings) == 5
    model, budget = said[task] / "models/fp32/model.onnx", tmp_path / "budget.yaml"
    for pace, first, code in ((1e-3, 1e6, 0), (1e9, 1e6, 1), (1e-3, 1e-6, 1)):
        limits = f"tokens_per_second: {pace}\nfirst_token_ms: {{p50: {first}}}\n"
        budget.write_text(f"version: 1\nprofile: x86-1-thread\n{limits}")
        words = ["check", model, "--budget", budget, "--measurements", lines]
        assert main([str(word) for word in words]) == code


def test_variants_whose_graphs_are_no_files_of_theirs(said: dict[str, Path], tmp_path: Path) -> None:
    import kit
    from kit.errors import BrokenError

    for graphs in (
        {"encoder": "contract.json"},
        {"encoder": "models/fp32/model.onnx"},
        {"model": "models/fp32/encoder.onnx"},
    ):
        spoilt = runs.copy(said[TO_TEXT], tmp_path / f"b{len(list(tmp_path.iterdir()))}")
        runs.seal(spoilt, lambda told, graphs=graphs: told["variants"][0].update(graphs=graphs))
        with pytest.raises(BrokenError, match="must list files"):
            kit.open_bundle(spoilt)
    lost = runs.copy(said[TO_TEXT], tmp_path / "lost")
    runs.seal(lost, lambda told: told["variants"][0].pop("graphs"))
    with pytest.raises(BrokenError, match="graphs must be model and a reader's, got model"):
        kit.open_bundle(lost)
    assert contract(said[TO_TEXT])["graphs"]


def test_prompts_without_room_for_an_answer_are_not_measured(said: dict[str, Path]) -> None:
    done = kit(said[GENERATION], "--measure", "--text", "x" * 94, "--seconds", 0, "--warmup-seconds", 0, code=2)
    assert "must leave room for two tokens" in done.stderr


def test_prompts_without_room_are_passed_over(said: dict[str, Path]) -> None:
    import kit
    from kit.measure import Settings, measure_said

    opened = kit.open_bundle(said[GENERATION])
    long, short = (np.asarray([[1] * count], np.int64) for count in (98, 5))
    settings = Settings(samples=4, seconds=0, rounds=1, warmup_seconds=0)
    lines = measure_said(opened, [{"tokens": each} for each in (short, long, long)], 3, settings)
    told = {line["op"]: line for line in lines}
    assert told["first"]["ns"] > 0 and len(told["time"]["ns"]) == 4


def test_what_all_inputs_begin_with_is_written_before_them(put: Path, tmp_path: Path) -> None:
    import kit

    run = run_of(put, tmp_path, tiny.translated(6))
    told = json.loads((run / "contract.json").read_text("utf-8"))
    told["options"]["prefix"] = "say it: "
    (run / "contract.json").write_text(json.dumps(told), "utf-8")
    bundle = pack(Order(run, tmp_path / "b", variants=("model",)), QUIET).path
    assert contract(bundle)["preparation"]["prefix"] == "say it: "
    opened = kit.open_bundle(bundle)
    answer, expected = opened.say({"input": "say 3"}), Speaker.of(run).say("say 3")
    assert (answer.tokens, answer.prompt) == (expected.answer.tokens, len("say it: say 3") + 1)
    assert not list(opened.golden())
