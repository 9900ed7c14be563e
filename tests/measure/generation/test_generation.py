"""Generation on ONNX Runtime: as torch has it, by chance where asked, bounded."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import edgesft
from edgesft.cli.main import main
from edgesft.errors import InputError
from edgesft.measure.generation import Decoder, Sampling, Speaker
from edgesft.measure.generation.choosing import choose

PROMPTS = ([1, 40, 41, 42], [1], [1, 90, 33, 60, 61, 62, 63, 64, 65, 66])


def options(spoken: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((spoken / "contract.json").read_text("utf-8"))["options"]
    return found


@pytest.mark.parametrize("prompt", PROMPTS, ids=len)
def test_greedy_answers_are_those_of_torch_token_for_token(prompt: list[int], llama: Path, spoken: Path) -> None:
    import torch
    from transformers import LlamaForCausalLM

    model = LlamaForCausalLM.from_pretrained(llama, dtype=torch.float32).eval()
    model.generation_config.eos_token_id = None
    whole = model.generate(torch.tensor([prompt]), do_sample=False, max_new_tokens=40, pad_token_id=0)[0].tolist()
    answer = Decoder({"model": spoken / "model.onnx"}, {**options(spoken), "stop": []}).answer(prompt, 40)
    assert answer.tokens == whole[len(prompt) :]
    assert len(set(answer.tokens)) > 5
    assert (answer.end, len(answer.step_ns)) == ("length", 39)


def test_an_encoder_decoder_says_what_it_says_on_torch(t5: Path, put: Path) -> None:
    import torch
    from transformers import T5ForConditionalGeneration

    model = T5ForConditionalGeneration.from_pretrained(t5, dtype=torch.float32).eval()
    model.generation_config.eos_token_id = None
    files = Speaker.of(put).task.files(put / "model.onnx")
    decoder, different = Decoder(files, {**options(put), "stop": []}), list[int]()
    for prompt in ([40, 50, 60, 70, 80, 90, 1], [91, 1], [1], [3] * 32):
        whole = model.generate(torch.tensor([prompt]), do_sample=False, max_new_tokens=30)[0].tolist()
        answer = decoder.answer(prompt, 30)
        assert answer.tokens == whole[1:]
        assert (answer.end, len(answer.step_ns)) == ("length", 29)
        different.append(len(set(answer.tokens)))
    assert max(different) > 5


def test_an_answer_ends_at_a_stop_token(spoken: Path) -> None:
    free = Decoder({"model": spoken / "model.onnx"}, {**options(spoken), "stop": []}).answer(PROMPTS[0], 20)
    last = free.tokens[5]
    answer = Decoder({"model": spoken / "model.onnx"}, {**options(spoken), "stop": [last]}).answer(PROMPTS[0], 20)
    assert answer.end == "stop"
    assert answer.tokens == free.tokens[: free.tokens.index(last)]


def test_an_answer_that_never_stops_ends_where_the_cache_does(spoken: Path) -> None:
    answer = Decoder({"model": spoken / "model.onnx"}, {**options(spoken), "stop": []}).answer([1] * 90, 1000)
    assert (answer.end, len(answer.tokens)) == ("cache", 7)


def test_prompts_that_cannot_be_answered(spoken: Path) -> None:
    decoder = Decoder({"model": spoken / "model.onnx"}, options(spoken))
    with pytest.raises(InputError, match="at least one token"):
        decoder.answer([], 4)
    with pytest.raises(InputError, match="at most 96 tokens, all that this model can remember, got 97"):
        decoder.answer([1] * 97, 4)
    with pytest.raises(InputError, match="max_tokens must be at least 1"):
        decoder.answer([1], 0)


def test_chance_follows_the_seed(spoken: Path) -> None:
    decoder = Decoder({"model": spoken / "model.onnx"}, options(spoken))
    one, same, other = (decoder.answer(PROMPTS[0], 20, Sampling(1.5, seed=seed)).tokens for seed in (1, 1, 2))
    assert one == same != other


def test_draws_have_the_shares_of_softmax() -> None:
    rng, scores = np.random.default_rng(0), np.log(np.array([0.1, 0.6, 0.3], np.float32))
    drawn = np.bincount([choose(scores, Sampling(1.0), rng) for _ in range(4000)], minlength=3) / 4000
    assert np.allclose(drawn, [0.1, 0.6, 0.3], atol=0.03)
    assert {choose(scores, Sampling(1.0, top_k=2), rng) for _ in range(200)} == {1, 2}
    assert {choose(scores, Sampling(1.0, top_p=0.5), rng) for _ in range(200)} == {1}
    assert {choose(scores, Sampling(1.0, top_p=0.7), rng) for _ in range(200)} == {1, 2}
    assert choose(scores, Sampling(0.0), rng) == 1


def test_settings_out_of_range_are_all_told() -> None:
    with pytest.raises(InputError, match=r"temperature must be at least 0(.|\n)*top_p must be above 0"):
        Sampling(temperature=-1, top_p=0)


def test_words_in_words_out(spoken: Path) -> None:
    pieces = list[str]()
    said = edgesft.generate(spoken, "what is 1 and 1?", 12, told=pieces.append)
    assert said.text.startswith("".join(pieces))
    assert said.prompt == len("<") + len("what is 1 and 1?\n")
    assert said.answer.first_ns > 0 and len(said.answer.step_ns) >= len(said.answer.tokens) - 1
    chat = edgesft.generate(spoken, [{"role": "user", "content": "what is 1 and 1?"}], 12)
    assert chat.answer.tokens == said.answer.tokens


def test_the_command(spoken: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", str(spoken), "--prompt", "hi", "--max-tokens", "3", "--format", "json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["tokens"]) <= 3
    assert main(["generate", str(spoken), "--prompt", " "]) == 2
    assert "prompt must hold words" in capsys.readouterr().err


def test_texts_that_are_put_into_others(put: Path, tmp_path: Path) -> None:
    said = edgesft.generate(put, "say 3", 5)
    assert said.prompt == len("say 3") + len(["</s>"]) and len(said.answer.tokens) <= 5
    with pytest.raises(InputError, match="at most 32 tokens, as in training, got 41"):
        edgesft.generate(put, "x" * 40)
    with pytest.raises(InputError, match="must hold words"):
        edgesft.generate(put, " ")
    for name in ("model.onnx", "contract.json"):
        (tmp_path / name).write_bytes((put / name).read_bytes())
    with pytest.raises(InputError, match=r"folder with encoder\.onnx"):
        Speaker.of(tmp_path)


def test_folders_without_a_decoder(bert: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"folder with model\.onnx"):
        Speaker.of(tmp_path)
