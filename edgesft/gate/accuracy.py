"""What models score on labelled rows, and whether one lost rows that the other had right.

Of an npz file's rows (`gate.rows`) the class that a model names is the largest value of its first output. Rows are
answered one by one, as on the device: the ranges of dynamic quantization depend on what else is in a batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from edgesft.budget import mcnemar
from edgesft.budget.drop import drops, levels
from edgesft.budget.mcnemar import Paired
from edgesft.budget.percentile import Interval
from edgesft.budget.verdict import ROUNDING, Line
from edgesft.data import checks
from edgesft.errors import InputError
from edgesft.gate.artefact import GateArtefact
from edgesft.gate.rows import LABELS, NPZ, SAVEZ, labelled
from edgesft.gate.rows import rows as labelled_rows
from edgesft.measure.bench.order import Order
from edgesft.measure.driver import MeasureError
from edgesft.measure.runner import answering, runner
from edgesft.progress import Progress
from edgesft.tasks import registry
from edgesft.tasks.base import Row, Run
from edgesft.tasks.contract import Contract
from edgesft.tasks.metrics import unanswered

Scorer = Callable[[np.ndarray, np.ndarray], Mapping[str, float]]
"""`scorer(predictions, references) -> metrics` of some rows."""


@dataclass(frozen=True)
class Evaluation:
    """What a model answered to labelled rows.

    Attributes:
        predictions: Its answers, one a row.
        references: What they should be, in the same order.
        scorer: What answers score.
        metric: Of what they score, the metric that decides.
    """

    predictions: np.ndarray
    references: np.ndarray
    scorer: Scorer
    metric: str

    @cached_property
    def metrics(self) -> dict[str, Interval]:
        """Each metric with bounds over the rows."""
        return levels(lambda predictions, rows: self.scorer(predictions, self.references[rows]), self.predictions)

    @cached_property
    def right(self) -> np.ndarray | None:
        """Whether each row is right, bool of shape [rows]; None where the deciding metric is not the share of those."""
        by_row = np.array([self.score([row])[self.metric] for row in range(len(self.references))])
        whole = self.score(slice(None))[self.metric]
        shares = np.isin(by_row, (0, 1)).all() and abs(by_row.mean() - whole) <= ROUNDING
        return by_row == 1 if shares else None

    def score(self, rows: Any) -> Mapping[str, float]:
        """The metrics over some of the rows."""
        return self.scorer(self.predictions[rows], self.references[rows])


def evaluate(given: GateArtefact, rows: Path | None, order: Order, progress: Progress) -> Evaluation:
    """What an artefact scores.

    Args:
        given: The artefact.
        rows: Labelled rows, as `gate.rows` describes them; None takes those of the recipe that the run
            carried out: its test rows or, without any, those that it decided on.
        order: On which provider, with how many threads and where; a model's answers are those of what it runs on.
        progress: Tells the person how far it is.

    Raises:
        InputError: There are no rows, they are not what the model takes, or its answers are no numbers.
        MeasureError: The model cannot be loaded, or not on that provider.
    """
    if _is_npz(rows):
        return _classified(given, rows, order, progress)
    contract = _contract(given, rows)
    return _answered(given, contract, labelled_rows([given], contract, rows), order, progress)


def evaluate_both(
    candidate: GateArtefact,
    baseline: GateArtefact,
    rows: Path | None,
    order: Order,
    progress: Progress,
) -> tuple[Evaluation, Evaluation]:
    """What the artefacts of a comparison score on the same rows: by default the candidate's, else the baseline's.

    Raises:
        InputError: As `evaluate`; or the two are for different tasks or labels.
        MeasureError: One of the models cannot be loaded, or not on that provider.
    """
    _check_alike(candidate, baseline, ordered=_is_npz(rows))
    if _is_npz(rows):
        ours, theirs = (_classified(each, rows, order, progress) for each in (candidate, baseline))
        counts = ours.predictions.shape[1], theirs.predictions.shape[1]
        if counts[0] != counts[1]:
            got = f"{counts[0]} from '{candidate.name}' and {counts[1]} from '{baseline.name}'"
            raise InputError(f"both models must have the same classes, got {got}")
        return ours, theirs
    contracts = [_contract(each, rows) for each in (candidate, baseline)]
    taken = labelled_rows([candidate, baseline], contracts[0], rows)
    ours = _answered(candidate, contracts[0], taken, order, progress)
    return ours, _answered(baseline, contracts[1], taken, order, progress)


def paired(candidate: Evaluation, baseline: Evaluation) -> Paired | None:
    """Rows lost and gained; None where the deciding metric is not the share of right rows."""
    if candidate.right is None or baseline.right is None:
        return None
    return mcnemar.paired(baseline.right, candidate.right)


def judge(candidate: Evaluation, baseline: Evaluation, limit: float, name: str | None = None) -> Line:
    """A line on how far the deciding metric fell (`mcnemar.judge`).

    Args:
        candidate: What the model that is judged answered.
        baseline: What the other one answered to the same rows.
        limit: Greatest allowed drop, from 0 on.
        name: Of the line; by default the metric's.
    """
    name = name or candidate.metric
    if (found := paired(candidate, baseline)) is not None:
        return mcnemar.judge(name, limit, found)
    return mcnemar.judge_bounds(name, limit, fallen(candidate, baseline)[candidate.metric])


def fallen(candidate: Evaluation, baseline: Evaluation) -> dict[str, Interval]:
    """How far each metric of the candidate lies below the baseline's, with bounds over the rows."""
    both = (baseline, candidate)
    count = len(candidate.references)
    # In place of predictions goes which of the two answers: their labels may be in different orders.
    return drops(lambda which, rows: both[which[0]].score(rows), np.zeros(count, int), np.ones(count, int))


def _is_npz(rows: Path | None) -> TypeGuard[Path]:
    return rows is not None and rows.suffix == NPZ


def _contract(given: GateArtefact, rows: Path | None) -> Contract:
    if given.contract is None:
        asked = f"rows '{rows}'" if rows else "the recipe's rows"
        raise InputError(
            f"{asked} must go with a folder that has a contract.json, got '{given.folder or given.model}'",
            f"the folder that a run left; or rows as the model takes them: {SAVEZ}",
        )
    return given.contract


def _check_alike(candidate: GateArtefact, baseline: GateArtefact, *, ordered: bool) -> None:
    """Both are for one task and the same labels, as far as they tell; in one order where rows give their numbers."""
    ours, theirs = candidate.contract, baseline.contract
    if ours is None or theirs is None:
        return
    both = f"'{candidate.name}' and '{baseline.name}'"
    if ours.task != theirs.task:
        raise InputError(f"{both} must be for the same task, got {ours.task} and {theirs.task}")
    differences = [
        f"only '{given.name}' has {checks.listed(repr(label) for label in labels if label not in others)}"
        for given, labels, others in (
            (candidate, ours.labels, theirs.labels),
            (baseline, theirs.labels, ours.labels),
        )
        if set(labels) - set(others)
    ]
    if differences:
        raise InputError(f"{both} must have the same labels: {', '.join(differences)}", "models of the same classes")
    if ordered and ours.labels != theirs.labels:
        got = " and ".join(", ".join(each.labels) for each in (ours, theirs))
        message = f"{both} must have their labels in one order for rows that give their numbers, got {got}"
        raise InputError(message, "rows with texts and names of labels")


def _answered(
    given: GateArtefact,
    contract: Contract,
    rows: Sequence[Row],
    order: Order,
    progress: Progress,
) -> Evaluation:
    """A run's artefact, asked by its task."""
    task = registry.of_contract(contract)
    try:
        processor = task.load_processor(given.folder or given.model.parent, contract)
        examples = task.encode(task.merge_references(rows), processor, contract)
    except KeyError as error:
        raise InputError(f"contract.json of '{given.name}' must tell {error} for {task.name}, got nothing") from None
    files = task.files(given.model)
    count = None if task.fed_back(contract) else len(examples)
    profile = order.profile.model_copy(update={"providers": order.preference(order.providers[0])})
    with (
        answering(files, profile, order.device, allow_cpu=order.allow_cpu, time_limit=order.time_limit) as answer,
        _asking(given, answer, count, progress) as ask,
    ):
        predictions = task.predict(ask, examples, processor)
    _check_numbers(given, predictions)
    scorer = partial(task.score, contract=contract)
    return Evaluation(predictions, task.references(examples), scorer, task.metrics[0])


def _classified(given: GateArtefact, rows: Path, order: Order, progress: Progress) -> Evaluation:
    """Any classifier, asked for the largest value of its first output."""
    with order.connect(order.device) as agent:
        providers, profile = order.preference(order.providers[0]), order.profile
        told = agent.load(given.model, providers, profile.threads, session=profile.session, allow_cpu=order.allow_cpu)
        requests, references = labelled(rows, told.inputs)
        output, answers = told.outputs[0].name, list[np.ndarray]()
        with _asking(given, runner({"model": agent}), len(references), progress) as ask:
            for feeds in requests.feeds:
                answers.append(_scores(output, ask(feeds)[output], answers))
    predictions = np.stack(answers)
    _check_numbers(given, predictions)
    classes = predictions.shape[1]
    if (wrong := np.flatnonzero((references < 0) | (references >= classes))).size:
        got = f"{references[wrong[0]]} in row {wrong[0] + 1}"
        raise InputError(f"'{LABELS}' must be from 0 to {classes - 1}, the classes of '{output}', got {got}")
    return Evaluation(predictions, references, _accuracy, "accuracy")


def _accuracy(predictions: np.ndarray, references: np.ndarray) -> dict[str, float]:
    return {"accuracy": float((predictions.argmax(axis=1) == references).mean())}


def _scores(output: str, answer: np.ndarray, before: Sequence[np.ndarray]) -> np.ndarray:
    """The scores of a row's classes, as many as in the rows before."""
    scores = answer[0] if answer.ndim == 2 and len(answer) == 1 else answer
    if scores.ndim != 1 or scores.size < 2 or scores.dtype.kind not in "fiu":
        got = f"{answer.dtype} of shape {list(answer.shape)}"
        hint = "a classifier whose first output is its logits or probabilities"
        raise InputError(f"first output '{output}' must be a number for each class, [1, classes], got {got}", hint)
    if before and scores.size != before[0].size:
        got = f"{before[0].size} and, in row {len(before) + 1}, {scores.size}"
        raise InputError(f"first output '{output}' must have the same number of classes in every row, got {got}")
    return scores


def _check_numbers(given: GateArtefact, predictions: np.ndarray) -> None:
    if got := unanswered.told(predictions):
        raise InputError(
            f"'{given.name}' must answer with numbers, got {got}", "edgesft bench shows where it leaves fp32"
        )


@contextmanager
def _asking(given: GateArtefact, answer: Run, count: int | None, progress: Progress) -> Iterator[Run]:
    """What is called for each row; that the model refuses one is the rows' fault."""
    asked = 0
    with progress.bar(f"{given.name} rows", count) as advance:

        def ask(feeds: Mapping[str, np.ndarray], graph: str = "model") -> dict[str, np.ndarray]:
            nonlocal asked
            asked += 1
            try:
                found = answer(feeds, graph)
            except MeasureError as error:
                if error.reason is None:
                    raise
                message = f"rows must be what '{given.name}' can run on, got for row {asked}: {error.reason}"
                raise InputError(message, "rows of this model, with the tokenizer that it was trained with") from None
            advance()
            return found

        yield ask
