"""Makes the raw model of a bundle, and checks it against the preprocessing of training."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

from edgesft.errors import InputError, StageError
from edgesft.measure.model.facts import external_files
from edgesft.ship import golden, graph, session
from edgesft.ship.contract import values
from edgesft.ship.finding import RefusedError
from edgesft.ship.golden import Golden, Row
from edgesft.ship.models import MODELS
from edgesft.ship.raw.document import NAME, Raw
from edgesft.ship.raw.proof import Answers, Held, Proof, prove
from edgesft.ship.raw.wanted import Wanted
from edgesft.ship.raw.whole import PICTURE, WORDS, Whole, whole
from edgesft.ship.variant import ANY, Variant

LARGEST_BYTES = 1 << 20
"""Of a golden row's input: a device reads pictures of a megapixel as it reads larger ones."""

FILE = "model.onnx"


def make(wanted: Wanted, out: Path, work: Path, say: Callable[[str], None]) -> Raw:
    """Writes a raw model into a bundle.

    Args:
        wanted: What is asked for.
        out: The bundle's folder.
        work: A folder to work in.
        say: Tells the person what goes on.

    Raises:
        StageError: There can be none of such a model, or it does not do what training did; nothing of it is left.
    """
    say("writing the raw model")
    written = whole(wanted.model, wanted.said, wanted.model.parent)
    folder = out / MODELS / NAME
    try:
        files = _write(written, wanted.model, folder)
        found = _proven(wanted, written, files[0], work, say)
        rows = _golden(found, wanted, written.reads)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    names = tuple(path.relative_to(out).as_posix() for path in files)
    variant = Variant(
        name=NAME,
        file=names[0],
        files=names,
        form="onnx",
        precision=wanted.precision,
        golden=NAME,
        providers=(session.CPU, ANY),
        runtime=wanted.runtime,
    )
    told = graph.read(memoryview(files[0].read_bytes()), names[0])
    return Raw(variant, wanted.precision, values(told.inputs), values(told.outputs), found.to_json(), rows.to_json())


def _proven(wanted: Wanted, written: Whole, raw: Path, work: Path, say: Callable[[str], None]) -> Proof:
    """What was held against training, and held."""
    front, model = work / "front.onnx", wanted.model
    front.parent.mkdir(parents=True, exist_ok=True)
    front.write_bytes(written.front.SerializeToString(deterministic=True))
    fixed = graph.fixed(graph.read(memoryview(model.read_bytes()), model.name))
    say("checking the raw model against training")
    try:
        answers = Answers(
            session.file_runner(front, front.name, {}),
            session.file_runner(model, model.name, fixed),
            session.file_runner(raw, f"{MODELS}/{NAME}/{FILE}", {}),
        )
        found = prove(wanted, written.reads, answers)
    except InputError as error:
        message = (
            f"the run's rows must be available to check a raw model against training, got: {error.problems[0].message}"
        )
        raise StageError(message) from error
    except RefusedError as error:
        raise StageError(f"the raw model must run, got: {error}") from error
    found.check()
    return found


def _write(written: Whole, model: Path, folder: Path) -> list[Path]:
    """The raw model's files: its own, and those of the run's model that hold weights."""
    folder.mkdir(parents=True)
    files = [folder / FILE]
    files[0].write_bytes(written.model.SerializeToString(deterministic=True))
    for name in external_files(written.model):
        files.append(folder / name)
        files[-1].parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(model.parent / name, files[-1])
    return files


def _golden(found: Proof, wanted: Wanted, reads: str) -> Golden:
    """Rows that every device must answer alike: some of the run's, and the hard inputs that are answered rightly."""
    import onnxruntime

    small = [each for each in found.rows if each.case.given.nbytes <= LARGEST_BYTES]
    small.sort(key=lambda each: each.case.given.nbytes)
    places = np.linspace(0, len(small) - 1, min(wanted.count, len(small))).round().astype(int)
    held = [small[int(place)] for place in np.unique(places)]
    held += [each for each in found.right() if each.case.given.nbytes <= LARGEST_BYTES]
    if not held:
        raise StageError("a raw model must have golden rows, got none that are answered rightly and small enough")
    column = wanted.said["preparation"]["columns"][0]
    rows = [_row(each, column, reads) for each in held]
    return Golden(rows, golden.tolerances({NAME: wanted.precision}), onnxruntime.__version__)


def _row(held: Held, column: str, reads: str) -> Row:
    """A golden row; where it was a text, with that."""
    row = None
    if reads != PICTURE:
        text = bytes(held.case.given).decode("utf-8")
        row = {column: text.split("\n") if reads == WORDS else text}
    return Row({reads: held.case.given}, {NAME: held.outputs}, row)
