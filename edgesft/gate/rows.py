"""Labelled rows: where they lie and what their columns are called.

They are texts or the like with their labels, which the task of a run's folder encodes as it does on the device; or, for
any ONNX classifier, an npz file of inputs (`measure.inputs.npzfile`) with one more array, `labels`: the class of each
row, an integer.
"""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ValidationError

from edgesft.data import files, places, sources, splits
from edgesft.data.histories import gather
from edgesft.data.join import joined
from edgesft.data.sources import Source
from edgesft.errors import InputError
from edgesft.gate.artefact import RECIPE, GateArtefact
from edgesft.measure.inputs import Requests, load_npz
from edgesft.measure.inputs.npzfile import UNREADABLE
from edgesft.measure.replies import Value
from edgesft.spec.document import Document
from edgesft.spec.interactions import InteractionsSpec
from edgesft.spec.problems import problems
from edgesft.spec.recipe import DataSpec
from edgesft.tasks import registry
from edgesft.tasks.base import Row
from edgesft.tasks.contract import Contract

NPZ = ".npz"

LABELS, MEMBER = "labels", "labels.npy"
"""Key of the classes in an npz file, and the name that numpy gives it in the archive."""

SAVEZ = f"numpy.savez('rows.npz', name=array, ..., {LABELS}=classes) with a key for each input"


class _Recipe(BaseModel):
    """Of a recipe, what decides its rows."""

    data: DataSpec | None = None
    seed: int = 0


def rows(given: Sequence[GateArtefact], contract: Contract, path: Path | None) -> Sequence[Row]:
    """Labelled rows with the task's roles as columns.

    Args:
        given: Artefacts; the first one with a recipe tells where the rows lie and what their columns are called.
        contract: Names the task.
        path: File of rows; None takes the recipe's test rows or, without any, those that its run decided on.

    Raises:
        InputError: There are none, or they cannot be read or lack a column.
    """
    told = next((each for each in given if each.recipe is not None and each.folder is not None), None)
    recipe = _recipe(told) if told else _Recipe()
    data, field = recipe.data, "rows"
    task = registry.of_contract(contract, data.columns if data else {})
    column = places.column(data or DataSpec(train=""), task.medium, told.folder if told and told.folder else Path())
    if path is not None:
        place: Source = sources.find(str(path), Path(), "test", column)
    else:
        if told is None or told.folder is None or data is None:
            raise InputError(
                "rows must be given if there is no recipe.yaml that names them, got none", "--rows test.jsonl"
            )
        split = "validation" if data.test is None else "test"
        where = data.files().get(split)
        if not isinstance(where, str):
            return splits.load(data, task.schema, told.folder, recipe.seed).rows()[split]
        place, field = sources.find(where, told.folder, split, column), f"data.{split} of '{told.folder / RECIPE}'"
    if (problem := place.missing(field)) is not None:
        raise InputError(problem if field == "rows" else replace(problem, hint="--rows test.jsonl"))
    optional = (*task.optional, *splits.further(data, task.by_user))
    if data and told and told.folder:
        place = joined(place, data.join, told.folder)
    found: Sequence[Row] = _renamed(place, list(place.rows()), task.roles, optional, data.columns if data else {})
    if task.by_user:
        found = gather(found, (data and data.interactions) or InteractionsSpec(), place).rows()
    if wrong := task.check({"rows": found}):
        raise InputError(wrong)
    return found


def labelled(path: Path, inputs: Sequence[Value]) -> tuple[Requests, np.ndarray]:
    """Requests of an npz file and the class of each, int64 of shape [requests].

    Args:
        path: The file.
        inputs: Of the model.

    Raises:
        InputError: It cannot be read, or lacks labels or inputs.
    """
    if (problem := files.missing(path, "rows")) is not None:
        raise InputError(problem)
    if any(value.name == LABELS for value in inputs):
        message = f"'{LABELS}' must be the classes of the rows, got a model with an input of that name"
        raise InputError(message, "export it without the loss")
    with tempfile.TemporaryDirectory() as folder:
        rest = Path(folder) / path.name
        try:
            labels = _parted(path, rest)
        except UNREADABLE as error:
            raise InputError(f"rows must be an npz file that can be read, got '{path}': {error}", SAVEZ) from None
        requests = load_npz(rest, inputs)
    count = len(requests.feeds)
    if labels.dtype.kind not in "iu" or labels.shape != (count,):
        got = f"{labels.dtype} of shape {list(labels.shape)}"
        raise InputError(f"'{LABELS}' must be an integer for each of the {count} rows, got {got}", SAVEZ)
    return requests, labels.astype(np.int64)


def _recipe(given: GateArtefact) -> _Recipe:
    """What the recipe says of its rows."""
    try:
        return _Recipe.model_validate(given.recipe)
    except ValidationError as error:
        document = Document(str(given.folder / RECIPE if given.folder else RECIPE), given.recipe)
        raise InputError(problems(error, document, _Recipe)) from None


def _renamed(
    place: Source,
    rows: Sequence[Mapping[str, Any]],
    needed: Sequence[str],
    optional: Sequence[str],
    columns: Mapping[str, str],
) -> list[Row]:
    """The rows by the task's roles; a column has the name that the recipe gives it, or its role's."""
    present = set.intersection(*(set(row) for row in rows))
    found = {
        role: next((name for name in (columns.get(role), role) if name in present), None)
        for role in (*needed, *optional)
    }
    if lacking := [role for role in needed if found[role] is None]:
        wanted = ", ".join(" or ".join(map(repr, dict.fromkeys((columns.get(role, role), role)))) for role in lacking)
        got = ", ".join(map(repr, sorted(present))) or "no column that all of them have"
        raise InputError(f"'{place}' must have in every row the column {wanted}, got {got}", "rename the columns")
    return [{role: row[name] for role, name in found.items() if name is not None} for row in rows]


def _parted(path: Path, rest: Path) -> np.ndarray:
    """The labels of an npz file; everything else goes into another one."""
    with zipfile.ZipFile(path) as whole, zipfile.ZipFile(rest, "w") as part:
        names = whole.namelist()
        if MEMBER not in names or len(names) == 1:
            got = ", ".join(f"'{name.removesuffix('.npy')}'" for name in names) or "no key"
            raise InputError(f"'{path}' must have a key for each input and '{LABELS}', got {got}", SAVEZ)
        for name in names:
            if name != MEMBER:
                part.writestr(name, whole.read(name))
        with whole.open(MEMBER) as stream:
            return np.asarray(np.lib.format.read_array(stream, allow_pickle=False))
