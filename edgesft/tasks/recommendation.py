"""Recommendation: a user's next item, from their history, among all items of a catalogue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np

from edgesft.data.features import Features
from edgesft.data.histories import ABOUT, ITEMS, LIKED, MOMENTS, NEXT, OPTIONAL, ROLES, catalogue
from edgesft.errors import InputError, Problem
from edgesft.spec.interactions import InteractionsSpec
from edgesft.spec.training import ResolvedTraining
from edgesft.tasks.base import Batch, Example, Graph, Row, Run, Task
from edgesft.tasks.contract import Contract
from edgesft.tasks.metrics import ranking
from edgesft.tasks.models import factory
from edgesft.tasks.models.factory import Factory
from edgesft.tasks.models.source import Source
from edgesft.tasks.recommender.catalogue import (
    CANDIDATES,
    CHOSEN,
    EXCLUDED,
    LOGITS,
    RATINGS,
    READ,
    SCENARIO,
    SCORES,
    Catalogue,
    before,
    pieces,
    sampled,
)

if TYPE_CHECKING:
    import torch
    from torch import nn

LABELS = "labels"

IGNORED = -100
"""Label of positions that do not count, by the convention of torch's cross entropy."""

DRAWN = "drawn"
"""Key in a training example: ids sampled from the whole catalogue (negatives)."""

READY = "edgesft.tasks.sasrec:sasrec"

OURS = ("items", "length", RATINGS, SCENARIO, ABOUT)
"""Arguments of factories that the rows and the recipe say."""

TWO_TOWERS = "edgesft.tasks.towers:towers"


class Recommendation(Task):
    """The next item of a user among all items of a catalogue, from the items before it.

    A row of a file is one interaction: `user`, `item`, and optionally `time`, `rating` and further columns that the
    recipe names. All interactions of a user become one row of the task: `items` in order of time, and `next`, the item
    after them.

    The model is a factory's: called with `items`, how many there are, and `length`, how many are read, besides the
    recipe's arguments, it returns a module with `forward(items, candidates=None)`. `items` are ids of shape [rows,
    length], from 1 on, the latest last, 0 before shorter histories. Without candidates the module scores all items
    after the last one: [rows, items + 1], first the column of id 0. With candidates, ids of shape [rows, some], it
    scores these after each item, [rows, length, some], or all ids where there are none of them: [rows, length, items +
    1]. `edgesft.tasks.sasrec:sasrec` makes such a one.

    Where the recipe has them, the factory is also called with `about`, for each item the slots that it has; with
    `scenario`, how many slots moments have; and with `ratings`, which is true. Then `forward` takes `ratings`, from -1
    to 1, of `items` each, and `scenario`, 1 for each slot and else 0, [rows, length, slots], of what comes after each,
    or [rows, 1, slots] without candidates. `edgesft.tasks.towers:towers` takes all of them. A module with `baked()`
    gives what is exported in its place: what no request changes is computed once.

    Predictions are the ranks of the true next items (`ranking.standings`).
    """

    name: ClassVar[str] = "recommendation"
    roles: tuple[str, ...] = ROLES
    optional: tuple[str, ...] = OPTIONAL
    by_user: ClassVar[bool] = True
    metrics: tuple[str, ...] = ("ndcg10", "hr10", "auroc")
    training: frozenset[str] = frozenset(("negatives",))
    learning_rates: ClassVar[tuple[float, ...]] = (1e-3, 3e-3)
    patience: ClassVar[float] = 3.0

    def text(self, row: Row) -> str:
        """The items of the user."""
        return " ".join(map(str, (*row[ITEMS], row[NEXT])))

    def check(self, splits: Mapping[str, Sequence[Row]], options: Mapping[str, Any] | None = None) -> list[Problem]:
        """Splits in which nobody did two things; a catalogue that is smaller than what is answered."""
        found = []
        for name, rows in splits.items():
            if not len(rows):
                message = f"data.{name}: must have a user with as many interactions as the splits take, got none"
                found.append(Problem(message, "two, one more for each `last`; or is data.columns.user right?"))
        if found or "train" not in splits:
            return found
        spec = _spec(options or {})
        if (count := len(catalogue(splits["train"], spec.least))) <= spec.answers:
            message = f"data.train: must have more items than are answered, {spec.answers}, got {count}"
            found.append(Problem(message, "more rows, or a lower data.interactions.least"))
        return found

    def warnings(self, splits: Mapping[str, Sequence[Row]]) -> list[str]:
        """Next items that are not in the catalogue, which no model can predict."""
        known = set(catalogue(splits["train"]))
        told = []
        for name, rows in splits.items():
            if name != "train" and (count := sum(row[NEXT] not in known for row in rows)):
                message = f"data.{name}: the next item in {count} of {len(rows)} rows is not in train"
                told.append(f"{message}; it counts as missed")
        return told

    def contract(self, train: Sequence[Row], options: Mapping[str, Any]) -> Contract:
        """The catalogue, the most frequent item first; what is read and answered."""
        spec = _spec(options)
        said: dict[str, Any] = spec.model_dump(include={"repeats", "history", "answers"})
        items = tuple(catalogue(train, spec.least))
        if spec.scale:
            said["scale"] = list(spec.scale)
        if spec.scenario:
            said[SCENARIO] = Features.learned(spec.scenario, (each for row in train for each in row[MOMENTS])).to_json()
        if spec.about:
            said[ABOUT] = _described(items, train, spec)
        return Contract(self.name, items, {"max_length": int(options["max_length"]), **said})

    def check_model(self, source: Source, contract: Contract, *, trust_remote_code: bool = False) -> list[Problem]:
        """A model that is not a factory's; missing modules or weights."""
        if not isinstance(source, Factory):
            message = f"model: must be {{factory: module:function}} for {self.name}, got a name"
            return [Problem(message, f"model: {{factory: {READY!r}}}, or your own: {factory.WHERE}")]
        if said := sorted(source.arguments.keys() & {*OURS}):
            message = (
                f"model.arguments: must leave out {', '.join(said)}, which are set from the rows and data.max_length"
            )
            return [Problem(message, "leave it out")]
        return source.problems()

    def check_head(self, source: Source, contract: Contract) -> list[Problem]:
        """Nothing: a factory's model is not checked."""
        return []

    def load_model(self, source: Source, contract: Contract, *, trust_remote_code: bool = False) -> nn.Module:
        """What the factory makes for the contract's catalogue, with its weights."""
        from edgesft.tasks.models import own
        from edgesft.tasks.recommender.model import Recommender

        if not isinstance(source, Factory):
            raise InputError(self.check_model(source, contract))
        said = contract.options
        told: dict[str, Any] = {"items": len(contract.labels), "length": said["max_length"]}
        if "scale" in said:
            told[RATINGS] = True
        if SCENARIO in said:
            told[SCENARIO] = Features.from_json(said[SCENARIO]).size
        if ABOUT in said:
            told[ABOUT] = said[ABOUT]
        return own.load(source, Recommender, told)

    def build_model(self, config: Mapping[str, Any], contract: Contract) -> nn.Module:
        """The factory's model."""
        from edgesft.tasks.models.own import OwnConfig
        from edgesft.tasks.recommender.model import Recommender

        return Recommender(OwnConfig(config["factory"], config["path"], config["arguments"]))

    def load_processor(self, source: Source, contract: Contract) -> Catalogue:
        """What makes ids of items."""
        return Catalogue(contract)

    def preparation(self, contract: Contract) -> dict[str, Any]:
        """The latest ids of a history, zeros before them; all of its ids where they are not answered again."""
        told = {"input": READ, "max_length": contract.options["max_length"]}
        if contract.options["repeats"] == "excluded":
            told |= {"excluded": EXCLUDED, "history": contract.options["history"]}
        columns = [ITEMS]
        if "scale" in contract.options:
            told |= {"ratings": RATINGS, "scale": contract.options["scale"]}
            columns.append(RATINGS)
        if said := contract.options.get(SCENARIO):
            told |= {"scenario": SCENARIO, "features": said}
            columns += Features.from_json(said).columns
        return {"kind": "items", "columns": columns, **told}

    def decoding(self, contract: Contract) -> dict[str, Any]:
        """The graph ranks; its answers are places among the labels."""
        scored = {"output": LOGITS, "axis": 1, "classes": len(contract.labels)}
        return {"kind": "ranking", **scored, "items": CHOSEN, "scores": SCORES}

    def encode(self, rows: Sequence[Row], processor: Catalogue, contract: Contract) -> list[Example]:
        """Ids of what came first, int64, items outside of the catalogue passed over; as labels ids of what came after
        each, the last being `next`, or 0 where the catalogue lacks it, or it was not liked. Where the contract has
        them, ratings of the former, and slots of the moments of the latter.
        """
        return [_example(row, processor) for row in rows]

    def collate(self, examples: Sequence[Example], processor: Catalogue) -> Batch:
        """The latest items of each row, as far as the longest goes, behind zeros; and what came after each, among the
        candidates where some were drawn.
        """
        longest = min(processor.length, max(len(example[READ]) for example in examples))
        batch = {
            name: before([example[name] for example in examples], longest)
            for name in (READ, RATINGS, SCENARIO, LABELS)
            if name in examples[0]
        }
        if LABELS not in batch:
            return batch
        labels = batch.pop(LABELS)
        labels[labels == 0] = IGNORED
        if DRAWN not in examples[0]:
            return {**batch, CANDIDATES: np.zeros((len(examples), 0), np.int64), LABELS: labels}
        drawn = [example[DRAWN] for example in examples]
        places, told = sampled(labels, drawn, IGNORED, len(processor.ids))
        return {**batch, **told, LABELS: places}

    def disturb(
        self, examples: Sequence[Example], processor: Catalogue, settings: ResolvedTraining, rng: np.random.Generator
    ) -> Sequence[Example]:
        """All of each history, in pieces that a model can read, cut elsewhere each time; and for each some items drawn
        from the catalogue, where the settings say so.
        """
        found = [
            {name: values[start:end] for name, values in example.items()}
            for example in examples
            for start, end in pieces(len(example[READ]), processor.length, rng)
        ]
        if not 0 < settings.negatives < len(processor.ids):
            return found
        count = len(processor.ids)
        return [{**each, DRAWN: 1 + rng.choice(count, settings.negatives, replace=False)} for each in found]

    def loss(
        self,
        outputs: Any,
        labels: torch.Tensor,
        *,
        label_smoothing: float = 0.0,
        class_weights: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Mean cross entropy of what came next, at all positions (Klenitskiy and Vasilev 2023, "Turning Dross Into Gold
        Loss").
        """
        from torch.nn import functional

        total = functional.cross_entropy(
            self.logits(outputs).float().flatten(0, -2),
            labels.flatten(),
            ignore_index=IGNORED,
            label_smoothing=label_smoothing,
            reduction="sum",
        )
        # Of a batch nothing may have been liked.
        return total / (labels != IGNORED).sum().clamp(min=1)

    def logits(self, outputs: Any) -> torch.Tensor:
        """Scores of candidates, or of all items after the last one."""
        scores: torch.Tensor = outputs[LOGITS]
        return scores

    def distributions(self, outputs: Any, batch: Mapping[str, Any]) -> torch.Tensor:
        """Scores where something came next, shape [positions, candidates]."""
        scores: torch.Tensor = self.logits(outputs)[batch[LABELS] != IGNORED]
        return scores

    def predict(
        self, run: Run, examples: Sequence[Example], processor: Catalogue, *, batch_size: int = 1
    ) -> np.ndarray:
        """The rank of the true next item, float64 of shape [rows, 5] (`ranking.standings`)."""
        found = []
        for start in range(0, len(examples), batch_size):
            rows = examples[start : start + batch_size]
            scores = run(processor.fed(rows))[LOGITS]
            found.append(ranking.standings(scores, np.asarray([example[LABELS][-1] - 1 for example in rows])))
        return np.concatenate(found)

    def references(self, examples: Sequence[Example]) -> np.ndarray:
        """1 where the true next item is in the catalogue, else 0, float64 of shape [rows]."""
        return np.asarray([float(example[LABELS][-1] > 0) for example in examples])

    def score(self, predictions: np.ndarray, references: np.ndarray, contract: Contract) -> dict[str, float]:
        """Means over rows of gain, hit and area, all items being ranked that are not excluded."""
        found = (ranking.gains(predictions), ranking.hits(predictions), ranking.areas(predictions))
        return {name: float(each.mean()) for name, each in zip(self.metrics, found, strict=True)}

    def agree(self, predictions: np.ndarray, others: np.ndarray) -> np.ndarray:
        """Whether the item of rank 1 is the same."""
        found: np.ndarray = predictions[:, ranking.FIRST] == others[:, ranking.FIRST]
        return found

    def evaluate(self, predictions: np.ndarray, references: np.ndarray, contract: Contract) -> dict[str, Any]:
        """How many items there are, how many came next that are none of them, and how many are ever answered first."""
        averages = {
            "items": len(contract.labels),
            "unknown": int((references == 0).sum()),
            "first": len(np.unique(predictions[:, ranking.FIRST])),
        }
        return {"rows": len(predictions), "averages": averages, "classes": []}

    def longest(self, contract: Contract) -> dict[str, int]:
        """Items that are not answered again."""
        return {EXCLUDED: contract.options["history"]}

    def graphs(self, model: nn.Module, processor: Catalogue, examples: Sequence[Example]) -> list[Graph]:
        """One graph, `model`, which ranks the whole catalogue: all scores, and the best items with theirs."""
        import torch

        from edgesft.tasks.recommender.model import Ranked, Recommender

        feeds = processor.fed([examples[0], examples[-1]])
        if EXCLUDED in feeds:  # torch.export would take an axis of 1 for fixed.
            feeds[EXCLUDED] = np.pad(feeds[EXCLUDED], ((0, 0), (0, 2)))
        inputs = {name: torch.from_numpy(array) for name, array in feeds.items()}
        module = Ranked(cast("Recommender", model).baked(), processor.answers)
        dynamic = {name: {0: "batch"} | ({1: EXCLUDED} if name == EXCLUDED else {}) for name in inputs}
        outputs, prefix = (CHOSEN, SCORES, LOGITS), "recommender.model."
        return [Graph("model", module, inputs, dynamic, outputs, prefix, chosen={CHOSEN: LOGITS})]

    def requests(self, examples: Sequence[Example], processor: Catalogue) -> list[Batch]:
        """Each history with a batch axis of 1."""
        return [processor.fed([example]) for example in examples]


def _example(row: Row, processor: Catalogue) -> Example:
    """A row as numbers, with labels where it has what came next."""
    ids, places = processor.known(row[ITEMS])
    # Of each item that is known the one after it, whose moments begin with that of the second one.
    after = np.append(places[1:], len(row[ITEMS])) - 1
    example = {READ: ids}
    if (ratings := processor.rated([row[RATINGS][place] for place in places] if RATINGS in row else ())) is not None:
        example[RATINGS] = ratings
    if (slots := processor.slots([row[MOMENTS][place] for place in after] if MOMENTS in row else [row])) is not None:
        example[SCENARIO] = slots
    if NEXT not in row:
        return example
    if not len(ids):  # Of a history of strangers nothing is known, and something came after it all the same.
        example |= {name: np.zeros(1, example[name].dtype) for name in (READ, RATINGS) if name in example}
    labels = np.append(ids[1:], processor.ids.get(str(row[NEXT]), 0))
    if LIKED in row:
        labels[~np.asarray(row[LIKED])[after]] = 0
    return {**example, LABELS: labels}


def _described(items: Sequence[str], train: Sequence[Row], spec: InteractionsSpec) -> list[list[int]]:
    """The slots of each item, of those that the items of the catalogue have."""
    known = {item: told for row in train for item, told in zip((*row[ITEMS], row[NEXT]), row[ABOUT], strict=True)}
    each = [known[item] for item in items]
    features = Features.learned(spec.about, each)
    return [features.slots(told) for told in each]


def _spec(options: Mapping[str, Any]) -> InteractionsSpec:
    return InteractionsSpec(**options.get("interactions", {}))
