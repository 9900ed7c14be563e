"""Which real rows become golden ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from edgesft.errors import InputError
from edgesft.gate.artefact import GateArtefact
from edgesft.pipeline.job import Job
from edgesft.progress import Progress
from edgesft.spec import load
from edgesft.spec.profile import ProfileSpec
from edgesft.stages.export.checks import late_run, spread
from edgesft.store.store import Store
from edgesft.tasks.base import Batch, Example, Row, Task
from edgesft.tasks.contract import Contract
from edgesft.tasks.decoder.cache import TOKENS
from edgesft.tasks.models import source

TEXTS = ("text", "words", "text-pair", "items", "symbols")
"""Kinds of preparation whose rows are texts; those of others are files, and their paths are no device's business."""

CANDIDATES = 64
"""Rows, evenly spaced over the split, of which the golden ones are chosen from the shortest to the longest."""


@dataclass(frozen=True)
class Rows:
    """Real requests.

    Attributes:
        requests: One an inference.
        raw: What each was made of, where it is text.
    """

    requests: tuple[Batch, ...]
    raw: tuple[dict[str, Any] | None, ...]


def job(given: GateArtefact, store: Store, progress: Progress) -> Job:
    """The run's surroundings, read again from what it left.

    Raises:
        InputError: Its recipe cannot be read.
    """
    if given.folder is None or given.results is None:
        raise InputError(f"run must be a folder with results.json, got '{given.model}'", "the folder that a run left")
    recipe, problems, _ = load.recipe(given.folder / "recipe.yaml")
    if recipe is None or problems:
        raise InputError(problems)
    profile = ProfileSpec.model_validate(given.results["environment"]["profile"])
    return Job(recipe, given.folder.absolute(), profile, store, progress)


class Source:
    """Rows of the test split, or of the validation's where there is none, as the run's own processor encodes them.

    Attributes:
        job: The run's surroundings.
        contract: Of the run.
        folder: Of the run.
    """

    def __init__(self, job: Job, contract: Contract, folder: Path) -> None:
        self.job, self.contract, self.folder = job, contract, folder

    @cached_property
    def processor(self) -> Any:
        """The run's own."""
        return self.job.task.load_processor(source.resolve(str(self.folder.absolute()), self.job.base), self.contract)

    def requests(self, count: int) -> Rows:
        """What is fed of so many rows.

        Raises:
            InputError: The rows are not there any more.
        """
        task, requests, raw = self.job.task, list[Batch](), list[dict[str, Any] | None]()
        way = task.preparation(self.contract)
        run = late_run(task.files(self.folder / "model.onnx"))
        for example, row in self._spread(count):
            own = task.stateful_requests([example], self.processor, run)
            told = {name: row.get(name) for name in way["columns"]} if way["kind"] in TEXTS else {}
            # Of several windows of one row none is what the row alone becomes.
            requests += own
            raw += [told if _is_plain(told) and len(own) == 1 else None] * len(own)
        return Rows(tuple(requests), tuple(raw))

    def prompts(self, count: int) -> Rows:
        """What is asked by so many rows: tokens up to where the first answer begins.

        Raises:
            InputError: The rows are not there any more.
        """
        task, requests, raw = self.job.task, list[Batch](), list[dict[str, Any] | None]()
        for example, row in self._spread(count):
            (request,), *_ = task.prefill_requests([example], self.processor).values()
            requests.append({TOKENS: request[TOKENS]})
            told, tokens = task.row_prompt(row, self.processor)
            # A row that was cut asks something else than it does when it is whole.
            raw.append(dict(told) if told and tokens == request[TOKENS][0].tolist() else None)
        return Rows(tuple(requests), tuple(raw))

    def _spread(self, count: int) -> list[tuple[Example, Row]]:
        """So many examples, from the smallest to the largest, with their rows."""
        job = self.job
        try:
            rows = job.splits.test or job.splits.validation
        except InputError as error:
            hint = "--inputs rows.npz, with a key for each input, takes their place"
            raise InputError([type(each)(each.message, hint, each.where) for each in error.problems]) from error
        places = np.unique(np.linspace(0, len(rows) - 1, min(CANDIDATES, len(rows))).round().astype(int))
        candidates = [rows[int(place)] for place in places]
        examples = job.task.encode(candidates, self.processor, self.contract)
        row_of = {id(example): row for example, row in zip(examples, candidates, strict=True)}
        return [(example, row_of[id(example)]) for example in spread(examples, count)]


def given_rows(file: Path, said: Mapping[str, Any], count: int) -> Rows:
    """Requests of a person's npz file.

    Args:
        file: The file.
        said: Has `inputs`, as a contract has them.
        count: How many.

    Raises:
        InputError: It does not fit the inputs.
    """
    from edgesft.measure.inputs import load_npz
    from edgesft.measure.replies import Value

    found = load_npz(file, [Value(each["name"], each["dtype"], tuple(each["shape"])) for each in said["inputs"]]).feeds
    places = np.unique(np.linspace(0, len(found) - 1, min(count, len(found))).round().astype(int))
    return Rows(tuple(found[int(place)] for place in places), (None,) * len(places))


def longest(task: Task, contract: Contract) -> int | None:
    """Longest input in tokens; None where rows have no length."""
    return task.preparation(contract).get("max_length")


def _is_plain(told: dict[str, Any]) -> bool:
    """Whether all of it can be written into JSON as it is."""

    def plain(value: Any) -> bool:
        listed = not isinstance(value, str) and isinstance(value, Sequence)
        return all(map(plain, value)) if listed else isinstance(value, str | int | float | None)

    return bool(told) and all(map(plain, told.values()))
