"""The application: a bundle that answers rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from kit import raw
from kit.bundle import Bundle
from kit.decode import Decoding
from kit.golden import Golden
from kit.model import Model, device, load, running
from kit.prepare import Preparation, Row, preparation


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
        self._decode = Decoding(bundle.contract) if said is None else partial(raw.answer, bundle.contract)
        self.rows = Golden(bundle.json("golden.json") if said is None else said["golden"])

    def answer(self, row: Row) -> Any:
        """The answer to a raw row.

        Raises:
            InputError: It cannot be read.
        """
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
            yield from self.rows.check(model)
