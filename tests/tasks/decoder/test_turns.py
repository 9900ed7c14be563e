"""Chat templates as tables."""

from __future__ import annotations

from typing import Any

import pytest

from edgesft.tasks.decoder import turns
from edgesft.tasks.decoder.conversation import PLAIN

CHATML = (
    "{% if messages[0]['role'] != 'system' %}<|im_start|>system\nYou help.<|im_end|>\n{% endif %}"
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] | trim }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)

INST = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{% set before = messages[0]['content'] + '\n\n' %}"
    "{% set messages = messages[1:] %}{% else %}{% set before = '' %}{% endif %}{% for m in messages %}"
    "{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('take turns') }}{% endif %}"
    "{% if m['role'] == 'user' %}[INST] {% if loop.first %}{{ before }}{% endif %}{{ m['content'] }} [/INST]"
    "{% else %} {{ m['content'] }}{{ eos_token }}{% endif %}{% endfor %}"
)

COUNTED = "{% for m in messages %}{{ loop.index }}: {{ m['content'] }}\n{% endfor %}"


class Tokenizer:
    """Renders as transformers does."""

    def __init__(self, template: str) -> None:
        from tokenizers import Tokenizer as Made
        from tokenizers import models
        from transformers import PreTrainedTokenizerFast

        made = Made(models.WordLevel({"<s>": 0, "</s>": 1, "<unk>": 2}, unk_token="<unk>"))
        names = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
        self._own = PreTrainedTokenizerFast(tokenizer_object=made, chat_template=template, **names)

    def apply_chat_template(self, *said: Any, **options: Any) -> Any:
        return self._own.apply_chat_template(*said, **options)


def said(*words: str) -> list[dict[str, str]]:
    roles = ("system", "user", "assistant", "user", "assistant", "user")
    return [{"role": role, "content": word} for role, word in zip(roles[-len(words) :], words, strict=True)]


@pytest.mark.parametrize(("template", "trimmed"), [(PLAIN, []), (CHATML, ["system", "user", "assistant"]), (INST, [])])
def test_a_table_writes_what_the_template_renders(template: str, trimmed: list[str]) -> None:
    tokenizer = Tokenizer(template)
    found = turns.told(tokenizer)
    assert found["trimmed"] == trimmed
    for conversation in (said("a"), said(" b ", "c\n", "d"), said("x", "y", " z", "1", "2", "3 ")):
        expected = tokenizer.apply_chat_template(conversation, tokenize=False, add_generation_prompt=True)
        assert turns.written(conversation, found["turns"], found["trimmed"]) == expected


def test_a_template_that_is_no_table_is_told_by_none() -> None:
    assert turns.told(Tokenizer(COUNTED)) == {}
    assert turns.told(Tokenizer("{{ raise_exception('never') }}")) == {}
    # What follows an answer must begin with what ends it, or what was kept of it would be of no use.
    later = "{% for m in messages %}{{ m['content'] }}{% if not loop.last %}|{% else %}.{% endif %}{% endfor %}"
    assert turns.told(Tokenizer(later)) == {}
