"""What a recommender is worth beside what needs no training: the most popular items, and neighbours of items.

Of a recipe of the task recommendation, its own rows and metrics: every item of the catalogue is ranked that is not
excluded. Popularity counts training interactions. Neighbours (item-kNN; Sarwar et al. 2001, "Item-based Collaborative
Filtering") score an item by the sum of its cosines with those of the history, of each item's nearest ones where there
is a number of them; the numbers are tried on the validation rows, and the best is what is told of the test rows. The
exported files of runs are scored beside them. Brackets are 95 % bounds of the bootstrap over users, one-sided; of a run
they also stand around what it has more than the neighbours do, user by user:

    python bench/recommend.py bench/tasks/movies.yaml runs/tasks/movies      (a folder that a run left, or a file)
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from pathlib import Path

import numpy as np

from edgesft.budget.drop import Scorer, drops, levels
from edgesft.budget.percentile import Interval
from edgesft.pipeline.check import check
from edgesft.stages.export.checks import file_run
from edgesft.tasks import registry
from edgesft.tasks.base import Batch, Example
from edgesft.tasks.contract import Contract
from edgesft.tasks.recommender.catalogue import EXCLUDED, LOGITS, READ, Catalogue

Run = Callable[..., dict[str, np.ndarray]]

NEIGHBOURS = (20, 100, 0)
"""How many of an item's; 0 is all of them."""

SHRINKAGE = (0.0, 10.0)
"""Added below the fraction, so that few common users say little (Bell and Koren 2007)."""


def main() -> None:
    """Prints a line a recommender."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("runs", type=Path, nargs="*", help="folders or files")
    options = parser.parse_args()
    checked = check(options.recipe)
    assert checked.rows is not None
    task, rows = registry.of(checked.recipe, checked.base), checked.rows.rows()
    contract = task.contract(rows["train"], checked.recipe.data.options())
    # What is scored before it is ranked reads the whole history, not what a model reads of it.
    whole = Catalogue(Contract(contract.task, contract.labels, {**contract.options, "max_length": 100_000}))
    examples = {name: task.encode(each, whole, contract) for name, each in rows.items()}
    seen = interactions(examples["train"], len(contract.labels))

    def asked(name: str, run: Run, processor: Catalogue = whole) -> np.ndarray:
        return task.predict(run, examples[name], processor)

    def scorer(name: str) -> Scorer:
        references = task.references(examples[name])
        return lambda found, places: task.score(found, references[places], contract)

    split = "test" if "test" in examples else "validation"
    print(f"{len(contract.labels)} items, {len(examples[split])} rows of {split}")
    tell("popularity", levels(scorer(split), asked(split, popular(seen, whole))))
    metric, every = task.metrics[0], np.arange(len(examples["validation"]))
    tried = {
        each: scorer("validation")(asked("validation", neighbours(seen, *each, whole)), every)[metric]
        for each in product(NEIGHBOURS, SHRINKAGE)
    }
    best = max(tried, key=lambda each: tried[each])
    near = asked(split, neighbours(seen, *best, whole))
    tell(f"item-kNN, {best[0] or 'all'} neighbours, shrinkage {best[1]:g}", levels(scorer(split), near))
    processor = task.load_processor(Path(), contract)
    for place in options.runs:
        file = place if place.is_file() else place / "model.onnx"
        found = asked(split, file_run({"model": file}), processor)
        tell(str(place), levels(scorer(split), found))
        tell("  more than the neighbours", drops(scorer(split), found, near))


def tell(name: str, found: Mapping[str, Interval]) -> None:
    """A line."""
    shown = (f"{metric} {each.value:.4f} ({each.lower:.4f} to {each.upper:.4f})" for metric, each in found.items())
    print(f"{name:48s} " + "  ".join(shown), flush=True)


def interactions(examples: Sequence[Example], items: int) -> np.ndarray:
    """Who did what in training, float32 of shape [users, items]."""
    found = np.zeros((len(examples), items + 1), np.float32)
    for row, example in zip(found, examples, strict=True):
        row[example[READ]] = row[example["labels"]] = 1
    return found[:, 1:]


def popular(seen: np.ndarray, catalogue: Catalogue) -> Run:
    """As many scores as people who did it."""
    counts = seen.sum(0)
    return ranked(lambda _: counts, catalogue)


def neighbours(seen: np.ndarray, count: int, shrunk: float, catalogue: Catalogue) -> Run:
    """The sum of cosines."""
    norms = np.sqrt(seen.sum(0))
    cosines = seen.T @ seen / (np.outer(norms, norms) + shrunk + 1e-9)
    np.fill_diagonal(cosines, 0)
    if count:
        least = -np.partition(-cosines, count, axis=1)[:, count : count + 1]
        cosines = np.where(cosines > least, cosines, 0)
    return ranked(lambda history: cosines[history].sum(0), catalogue)


def ranked(score: Callable[[np.ndarray], np.ndarray], catalogue: Catalogue) -> Run:
    """As a graph answers: the scores of all items that are not excluded."""

    def run(feeds: Batch, graph: str = "model") -> dict[str, np.ndarray]:
        found = np.stack([score(items[items > 0] - 1) for items in feeds[READ]]).astype(np.float32)
        for own, excluded in zip(found, feeds.get(EXCLUDED, ()), strict=False):
            own[excluded[excluded > 0] - 1] = -np.inf
        return {LOGITS: found}

    return run


if __name__ == "__main__":
    main()
