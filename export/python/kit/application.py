"""The application: a bundle that answers rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from kit import raw
from kit.bundle import Bundle
from kit.decode import Decoding
from kit.errors import InputError
from kit.golden import Golden
from kit.model import Model, device, load, running
from kit.prepare import Preparation, Row, preparation
from kit.tokens.detokenizer import Detokenizer
from kit.writer import Said, Sampling, Writer

MOST = 128
"""Tokens of an answer where nobody says how many it may have."""


class Kit:
    """A bundle with its model loaded.

    Attributes:
        bundle: Its files, which were checked.
        model: In ONNX Runtime.
        rows: The golden ones.
    """

    def __init__(self, bundle: Bundle, providers: Sequence[str], threads: int, *, whole: bool = False) -> None:
        """Loads its model; see `kit.open_bundle`."""
        self.bundle, self._here, self._threads = bundle, device(providers), threads
        said = raw.said_of(bundle) if whole else None
        self._variants = bundle.manifest["variants"] if said is None else [said["variant"]]
        self.model: Model = load(bundle, self._variants, self._here, threads)
        self.preparation: Preparation = preparation(bundle) if said is None else raw.preparation(bundle, said)
        self.writer: Writer | None = writer_of(bundle, self.model)
        decode = Decoding(bundle.contract) if said is None and self.writer is None else None
        self._decode = decode or partial(raw.answer, bundle.contract)
        self.rows = Golden(bundle.json("golden.json") if said is None else said["golden"])

    def say(
        self,
        row: Row,
        most: int = MOST,
        sampling: Sampling | None = None,
        told: Callable[[str], None] = lambda _: None,
    ) -> Said:
        """What a model that answers token by token says to a raw row; see `Writer.say`.

        Raises:
            InputError: It cannot be read, or the model says nothing.
        """
        if self.writer is None:
            kind = self.bundle.contract["decoding"]["kind"]
            raise InputError(f"a bundle must answer token by token to be asked so, got one that gives {kind}")
        (request,) = self.preparation(row)
        ((prompt,),) = request.feeds.values()
        return self.writer.say(prompt.tolist(), most, sampling, told)

    def answer(self, row: Row) -> Any:
        """The answer to a raw row.

        Raises:
            InputError: It cannot be read.
        """
        if self.writer:
            said = self.say(row)
            return {"text": said.text, "end": said.end, "tokens": len(said.tokens)}
        answers = []
        states = self.zeros()
        for request in self.preparation(row):
            outputs = self.model({**request.feeds, **states})
            states = {name: outputs[output] for name, output in self.model.states.items()}
            answers.append((request, outputs))
        return self._decode(answers)

    def zeros(self) -> dict[str, np.ndarray]:
        """The states before anything was heard."""
        return {
            each["name"]: np.zeros([axis if isinstance(axis, int) else 1 for axis in each["shape"]], each["dtype"])
            for each in self.bundle.contract["inputs"]
            if each["name"] in self.model.states
        }

    def golden(self) -> Iterator[str]:
        """What is wrong with the answers to the golden rows, of every variant that the model's provider can run."""
        yield from self.rows.check_preparation(self.preparation)
        for model in running(self.bundle, self._variants, self._here, self.model.provider, self._threads):
            yield from self.rows.check(model, writer_of(self.bundle, model))


def writer_of(bundle: Bundle, model: Model) -> Writer | None:
    """What says a model's answers token by token; None where it does not answer so.

    Raises:
        BrokenError: The contract says what this kit does not know.
    """
    if bundle.contract["decoding"]["kind"] != "generation":
        return None
    return Writer(model, bundle.contract, Detokenizer(bundle.json(bundle.contract["preparation"]["tokenizer"])))
