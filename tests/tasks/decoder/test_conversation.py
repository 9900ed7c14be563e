"""Rows of generation as tokens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgesft.errors import InputError
from edgesft.tasks.decoder import conversation
from edgesft.tasks.text_generation import TextGeneration

STOP = (2,)
CHAT = (
    "{% for m in messages %}[{{ m['role'] }}]{{ m['content'] }}</s>{% endfor %}"
    "{% if add_generation_prompt %}[assistant]{% endif %}"
)
TURNS = [
    {"role": "user", "content": "hi"},
    {"role": "assistant", "content": "yes"},
    {"role": "user", "content": "why"},
    {"role": "assistant", "content": "so"},
]


def tokenizer(llama: Path, template: str | None = None) -> Any:
    task = TextGeneration()
    options = {"max_length": 64} | ({"template": template} if template else {})
    return task.load_processor(llama, task.contract([], task.implied(llama, options)))


def learned(row: dict[str, Any], processor: Any) -> str:
    ids, mask = conversation.tokens(row, processor, STOP)
    said: str = processor.decode([token for token, kept in zip(ids, mask, strict=True) if kept])
    return said


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "a", "answer": "b", "context": "\ud800"},
        {"messages": [{"role": "user", "content": "\udfff"}, {"role": "assistant", "content": "b"}]},
    ],
)
def test_half_of_a_surrogate_pair_is_no_text(row: dict[str, Any]) -> None:
    found = conversation.wrong(row)
    assert found is not None and "must have Unicode text" in found.message


def test_answers_alone_are_learned_with_the_token_that_ends_them(llama: Path) -> None:
    assert learned({"prompt": "hi", "answer": "yes"}, tokenizer(llama)) == "yes</s>"
    assert learned({"messages": TURNS}, tokenizer(llama, CHAT)) == "yes</s>so</s>"
    assert learned({"text": "all of it"}, tokenizer(llama)) == "all of it</s>"


def test_a_prompt_has_the_tokens_that_training_saw(llama: Path) -> None:
    for template in (None, CHAT):
        processor = tokenizer(llama, template)
        whole, mask = conversation.tokens({"messages": TURNS[:2]}, processor, STOP)
        prompt, _ = conversation.tokens({"messages": TURNS[:1]}, processor, ())
        assert whole[: mask.index(True)] == prompt
        assert whole[0] == 1 and whole[1] != 1


def test_what_a_template_puts_behind_an_answer_is_not_learned(llama: Path) -> None:
    template = CHAT.replace("</s>{% endfor %}", "</s>;{% endfor %}")
    assert learned({"messages": TURNS[:2]}, tokenizer(llama, template)) == "yes</s>"


def test_an_answer_without_an_end_gets_one(llama: Path) -> None:
    template = CHAT.replace("</s>{% endfor %}", "{% endfor %}")
    assert learned({"messages": TURNS[:2]}, tokenizer(llama, template)) == "yes</s>"


def test_templates_that_fail_or_rewrite_are_told(llama: Path) -> None:
    with pytest.raises(InputError, match=r"data\.template: must render"):
        conversation.tokens({"messages": TURNS}, tokenizer(llama, "{{ messages.nothing.at_all }}"), STOP)
    with pytest.raises(InputError, match="the same with and without"):
        conversation.tokens({"messages": TURNS}, tokenizer(llama, "{{ messages | length }}{{ 1 / 1 }}"), STOP)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"messages": TURNS[:1]}, "answer of the assistant"),
        ({"messages": []}, "list of messages"),
        ({"messages": "hi"}, "list of messages"),
        ({"messages": [{"role": "robot", "content": "hi"}]}, "role of system, user, assistant"),
        ({"messages": [{"role": "user", "content": " "}]}, "and content"),
        ({"prompt": " ", "answer": "yes"}, "as prompt, got nothing"),
        ({"prompt": "hi", "answer": None}, "as answer, got nothing"),
        ({"text": 3}, "as text, got 3"),
    ],
)
def test_bad_rows(row: dict[str, Any], message: str) -> None:
    wrong = conversation.wrong(row)
    assert wrong is not None and message in wrong.message


def test_good_rows() -> None:
    assert conversation.wrong({"messages": TURNS}) is None
    assert conversation.wrong({"prompt": "hi", "answer": "yes"}) is None
