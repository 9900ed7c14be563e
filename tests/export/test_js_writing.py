"""The kits in JavaScript on models that answer token by token: what they say is what the kit in Python says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import decoders

from edgesft.cli.main import main
from edgesft.measure.recording import recordings
from tests.export.script import Probe
from tests.export.test_node import Kit, lines, written
from tests.export.test_python_tokens import KINDS, loaded
from tests.export.test_python_tokens import texts as odd_texts
from tests.export.test_python_writing import GENERATION, PROMPTS, TO_TEXT, TURNS
from tests.export.texts import NASTY, random_texts
from tests.ship import runs

CHANCES: tuple[dict[str, Any], ...] = (
    {},
    {"temperature": 0.9, "top_k": 20, "top_p": 0.95, "seed": 3},
    {"temperature": 2.0, "seed": 7},
    {"temperature": 1.0, "top_p": 0.5, "seed": 2**40 + 5},
)


@pytest.mark.parametrize("seed", [0, 1, 7, 12345, 2**32 - 1, 2**32, 2**40 + 5, 2**53 - 1])
def test_chance_is_numpy_s(probe: Probe, seed: int) -> None:
    assert probe("chance", seed=seed, count=50) == np.random.default_rng(seed).random(50).tolist()


def trimming(bundle: Path, folder: Path) -> Path:
    """The same bundle, its template trimming what people say."""
    other = runs.copy(bundle, folder / "trimming")
    runs.edit(other / "contract.json", lambda said: said["preparation"].update(trimmed=["user"]))
    runs.seal(other)
    return other


BLANKS = [
    {"prompt": text, "context": "\u0085"}
    for text in ("\u0085hi\u0085", "\ufeff", "\ufeffhi\u200b", "\x1c\u3000so\u00a0")
]
"""Prompts between what is blank to Python, and between what is not."""


def rows(task: str) -> list[dict[str, Any]]:
    asked = [{"prompt" if task == GENERATION else "input": prompt} for prompt in PROMPTS]
    return asked + [{"messages": list(each)} for each in TURNS] if task == GENERATION else asked


def reference(bundle: Path, task: str, chances: Mapping[str, Any], most: int = 20) -> list[dict[str, Any]]:
    import kit
    from kit.writer import Sampling

    opened = kit.open_bundle(bundle, ["CPUExecutionProvider"])
    found = [opened.say(row, most, Sampling(**chances)) for row in rows(task)]
    return [{name: getattr(each, name) for name in ("text", "tokens", "end", "prompt")} for each in found]


@pytest.mark.kits
@pytest.mark.parametrize("chances", CHANCES, ids=len)
@pytest.mark.parametrize("task", [GENERATION, TO_TEXT])
@pytest.mark.parametrize("form", ["bundle", "bundle.zip"])
def test_it_says_what_the_kit_in_python_says(
    node_kit: Kit, said: Mapping[str, Path], tmp_path: Path, task: str, form: str, chances: Mapping[str, Any]
) -> None:
    asked = written(tmp_path / "rows.jsonl", rows(task))
    words = [word for name, value in chances.items() for word in (f"--{name.replace('_', '-')}", value)]
    found = lines(node_kit(said[task].parent / form, "--file", asked, "--max-tokens", 20, *words))
    assert [{name: each[name] for name in ("text", "tokens", "end", "prompt")} for each in found] == reference(
        said[task], task, chances
    )
    assert all(len(each["step_ns"]) >= len(each["tokens"]) - 1 for each in found)


@pytest.mark.kits
@pytest.mark.parametrize("task", [GENERATION, TO_TEXT])
def test_golden_rows(node_kit: Kit, said: Mapping[str, Path], tmp_path: Path, task: str) -> None:
    told = node_kit(said[task].parent / "bundle.zip", "--golden").stdout
    assert "golden rows: hold (5)" in told and "5 texts become the tokens" in told and "tokens is off by 0" in told
    spoilt = runs.copy(said[task], tmp_path / "b")

    def cross(told: Any) -> None:
        cache = told["decoding"]["cache"]
        cache["past_key_0"], cache["past_value_0"] = cache["past_value_0"], cache["past_key_0"]

    runs.edit(spoilt / "contract.json", cross)
    runs.seal(spoilt)
    assert "'scores' must be within" in node_kit(spoilt, "--golden", code=1).stderr


@pytest.mark.kits
def test_blanks_are_python_s(node_kit: Kit, said: Mapping[str, Path], tmp_path: Path) -> None:
    import kit

    bundle = trimming(said[GENERATION], tmp_path)
    found = lines(node_kit(bundle, "--file", written(tmp_path / "rows.jsonl", BLANKS), "--max-tokens", 5))
    expected = [kit.open_bundle(bundle).say(row, 5) for row in BLANKS]
    assert [(each["prompt"], each["tokens"]) for each in found] == [(each.prompt, each.tokens) for each in expected]


@pytest.mark.kits
def test_what_is_said_comes_as_it_is_said(node_kit: Kit, said: Mapping[str, Path]) -> None:
    done = node_kit(said[GENERATION], "--text", PROMPTS[0], "--max-tokens", 20)
    assert done.stdout == reference(said[GENERATION], GENERATION, {})[0]["text"] + "\n"
    assert "ended by" in done.stderr and "first after" in done.stderr


@pytest.mark.kits
@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--text", " "], "must hold words, got none"),
        (["--text", "x" * 200], "at most 96 tokens, all that this model can remember, got 202"),
        (["--text", "x", "--max-tokens", "0"], "max-tokens must be at least 1"),
        (["--text", "x", "--top-p", "0"], "top-p above 0"),
        (['{"messages": []}'], "a list of objects"),
        (['{"messages": [{"role": "tool", "content": "x"}]}'], "tool after start"),
        (['{"messages": [{"role": "assistant", "content": "x"}]}'], "must end with one"),
        (['{"question": "x"}'], "must have 'prompt' or 'messages', got question"),
    ],
)
def test_what_cannot_be_asked(
    node_kit: Kit, said: Mapping[str, Path], tmp_path: Path, words: list[str], told: str
) -> None:
    if words[0].startswith("{"):
        (tmp_path / "rows.jsonl").write_text(words[0])
        words = ["--file", str(tmp_path / "rows.jsonl")]
    assert told in node_kit(said[GENERATION], *words, code=2).stderr


@pytest.mark.kits
def test_inputs_that_would_be_cut_are_refused(node_kit: Kit, said: Mapping[str, Path]) -> None:
    assert "at most 32 tokens, as in training, got 41" in node_kit(said[TO_TEXT], "--text", "x" * 40, code=2).stderr


@pytest.mark.kits
def test_graphs_that_are_no_files_of_their_variant(node_kit: Kit, said: Mapping[str, Path], tmp_path: Path) -> None:
    for place, graphs in enumerate(({"encoder": "contract.json"}, {"model": "models/fp32/encoder.onnx"})):
        spoilt = runs.copy(said[TO_TEXT], tmp_path / str(place))
        runs.seal(spoilt, lambda told, graphs=graphs: told["variants"][0].update(graphs=graphs))
        assert "variants.graphs must name a file" in node_kit(spoilt, code=1).stderr
    lost = runs.copy(said[TO_TEXT], tmp_path / "lost")
    runs.seal(lost, lambda told: told["variants"][0].pop("graphs"))
    assert "graphs must be model, encoder for this kit, got model" in node_kit(lost, code=1).stderr


@pytest.mark.kits
@pytest.mark.parametrize("task", [GENERATION, TO_TEXT])
def test_its_pace_gates(node_kit: Kit, said: Mapping[str, Path], tmp_path: Path, task: str) -> None:
    short = ("--samples", "60", "--seconds", "0.1", "--rounds", "6", "--warmup-seconds", "0.1")
    measured = tmp_path / "device.jsonl"
    measured.write_text(node_kit(said[task].parent / "bundle.zip", "--measure", *short).stdout)
    (found,) = recordings(measured)
    assert found.openings and len(found.measurement.samples) >= 60
    budget = tmp_path / "budget.yaml"
    for pace, code in ((1e-3, 0), (1e9, 1)):
        budget.write_text(
            f"version: 1\nprofile: x86-1-thread\ntokens_per_second: {pace}\nfirst_token_ms: {{p50: 1e6}}\n"
        )
        words = ["check", said[task] / "models/fp32/model.onnx", "--budget", budget, "--measurements", measured]
        assert main([str(word) for word in words]) == code


PAIRS = [name for name in KINDS if name.startswith(("bytes", "letters"))]


@pytest.mark.parametrize("kind", PAIRS)
def test_tokens_of_language_models(probe: Probe, tmp_path: Path, kind: str) -> None:
    """Without any package."""
    _, theirs = loaded(KINDS[kind](tmp_path))
    theirs.decoder = theirs.decoder or decoders.ByteLevel()
    drawn = (text for text in odd_texts(300, sorted(theirs.get_vocab()), seed=8) if "\ufffd" not in text)
    texts = [*NASTY, *random_texts(300), *drawn]
    told = [theirs.encode(text) for text in texts]
    asked = {"tokenizer": json.loads(theirs.to_str()), "texts": texts, "answers": [each.ids for each in told]}
    found = probe("pairs", **asked)
    wrong = [text for text, mine, each in zip(texts, found["ids"], told, strict=True) if mine != each.ids]
    assert not wrong, (len(wrong), wrong[:5])
    assert found["plain"] == [theirs.encode(text, add_special_tokens=False).ids for text in texts]
    again = [theirs.decode(each.ids) for each in told]
    wrong = [(text, mine, each) for text, mine, each in zip(texts, found["texts"], again, strict=True) if mine != each]
    assert not wrong, (len(wrong), wrong[:5])
