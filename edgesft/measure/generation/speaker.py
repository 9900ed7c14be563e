"""Words in, words out: the folder of a run whose model says token by token."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from edgesft.errors import InputError
from edgesft.measure import run_folder
from edgesft.measure.generation.decoder import Answer, Decoder
from edgesft.measure.generation.sampling import Sampling
from edgesft.tasks.contract import Contract
from edgesft.tasks.text_generation import TextGeneration


@dataclass(frozen=True)
class Said:
    """An answer in words.

    Attributes:
        text: What was said.
        prompt: Tokens of what was asked.
        answer: Its tokens, why it ended, and what each took.
    """

    text: str
    prompt: int
    answer: Answer

    def to_json(self) -> dict[str, Any]:
        """JSON form."""
        return {"text": self.text, "prompt_tokens": self.prompt, **vars(self.answer)}


@dataclass(frozen=True)
class Speaker:
    """A run's model.

    Attributes:
        folder: That the run left.
        contract: Of its model.
        task: Of its model.
        threads: That it runs on.
    """

    folder: Path
    contract: Contract
    task: TextGeneration
    threads: int = 1

    @classmethod
    def of(cls, folder: Path, threads: int = 1) -> Speaker:
        """The model of a folder.

        Raises:
            InputError: It holds none, or one that generates nothing.
        """
        contract, task = run_folder.open_run(folder, TextGeneration)
        files = task.files(folder / run_folder.MODEL)
        if missing := [file.name for file in files.values() if not file.is_file()]:
            raise InputError(f"run must be a folder with {', '.join(missing)}, got '{folder}'", "the whole folder")
        return cls(folder, contract, task, threads)

    @cached_property
    def _writer(self) -> Any:
        return self.task.load_processor(self.folder, self.contract)

    @cached_property
    def _decoder(self) -> Decoder:
        return Decoder(self.task.files(self.folder / run_folder.MODEL), self.contract.options, self.threads)

    def say(
        self,
        said: str | Sequence[Mapping[str, str]],
        most: int = 128,
        sampling: Sampling | None = None,
        told: Callable[[str], None] = lambda _: None,
    ) -> Said:
        """Answers a prompt, or goes on with a conversation, as training laid them out. Where texts become others,
        what was said last is read.

        Args:
            said: What is asked, or messages of {role, content}.
            most: Tokens at most.
            sampling: How each is chosen; by default the likeliest.
            told: Called with each new piece of the text.

        Raises:
            InputError: Nothing is asked, or more than the model can remember.
        """
        messages = [{"role": "user", "content": said}] if isinstance(said, str) else list(said)
        if not messages or not all(str(each.get("content") or "").strip() for each in messages):
            raise InputError("prompt must hold words, got none", "write something")
        ids = self.task.prompt(messages, self._writer)
        tokens, shown = list[int](), ""

        def grown(token: int) -> None:
            nonlocal shown
            tokens.append(token)
            text = self._words(tokens)
            # What is half a character yet comes with the next token.
            if text.startswith(shown) and not text.endswith("\ufffd"):
                told(text[len(shown) :])
                shown = text

        answer = self._decoder.answer(ids, most, sampling, grown)
        return Said(self._words(answer.tokens), len(ids), answer)

    def _words(self, tokens: Sequence[int]) -> str:
        words: str = self._writer.decode(list(tokens), skip_special_tokens=True)
        return words
