"""Packs a run into a bundle: everything that a device needs, with the measurements. The same run gives the same
bytes.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from edgesft.errors import InputError, Problem, StageError
from edgesft.gate.artefact import BESIDE, GateArtefact, artefact
from edgesft.measure.devices import HERE, Device
from edgesft.measure.providers import PROVIDERS
from edgesft.pipeline.job import Job
from edgesft.progress import Progress
from edgesft.ship import (
    canonical,
    card,
    context,
    describe,
    generation,
    golden,
    graph,
    licences,
    models,
    names,
    rows,
    seal,
    session,
    sign,
)
from edgesft.ship import contract as contracts
from edgesft.ship import lineage as lineages
from edgesft.ship.finding import RefusedError
from edgesft.ship.golden import GOLDEN, Golden, Row
from edgesft.ship.manifest import Manifest
from edgesft.ship.operators import OPERATORS
from edgesft.ship.raw.document import RAW, Raw
from edgesft.ship.source import Folder
from edgesft.ship.variant import NAME, VERSION, Variant
from edgesft.ship.wiring import Outputs
from edgesft.spec.profile import ProfileSpec
from edgesft.stages.artefact import CONTRACT
from edgesft.store.disk import guarded
from edgesft.store.store import Store
from edgesft.tasks.models.onnx_file import OnnxFile

SUFFIX = f"-bundle{seal.ARCHIVE}"

ROWS = 5
"""Golden rows: as few as show a wrong layout, a lost scale or another tokenizer, which all rows show."""


@dataclass(frozen=True)
class Order:
    """An order to pack: which run, and how.

    Attributes:
        run: A run's folder.
        output: Folder or `.zip` to write; None for `<run>-bundle.zip` beside the run.
        name: Name of the bundle; None for the run's.
        version: Version of the bundle.
        variants: Kinds of models to include, of `models.KINDS`.
        rows: Number of golden rows.
        inputs: npz file to use instead of the run's own rows.
        licences: Files with the licences.
        runtime: Oldest version of ONNX Runtime on the devices.
        signer: Signs the bundle; None does not sign.
        store: Folder of the store that has the run's float model and compiled models.
        device: Where the profile's provider compiles ahead of time; None for this interpreter.
        chips: Chips to compile for, spelled as the provider's option; empty for the profile's.
        replace: Whether to replace an existing bundle.
        raw: Whether to add a model from raw text or picture to answer.
    """

    run: Path
    output: Path | None = None
    name: str | None = None
    version: int = 1
    variants: Sequence[str] = models.USUAL
    rows: int = ROWS
    inputs: Path | None = None
    licences: Sequence[Path] = ()
    runtime: str = models.LEAST_RUNTIME
    signer: sign.Signer | None = None
    store: Path | None = None
    device: Device | None = None
    chips: Sequence[str] = ()
    replace: bool = False
    raw: bool = False


@dataclass(frozen=True)
class Packed:
    """A packed bundle.

    Attributes:
        path: The bundle's folder or archive.
        manifest: The bundle's manifest.
        size_bytes: Total size of its files.
        left_out: Kind of variant → the reason why there is none.
        warnings: Warnings for the user.
        raw: The content of `raw.json`; None if there is none.
    """

    path: Path
    manifest: Manifest
    size_bytes: int
    left_out: Mapping[str, str]
    warnings: Sequence[str]
    raw: Raw | None = None


def pack(order: Order, progress: Progress | None = None) -> Packed:
    """Makes a bundle. It appears at its place only when it is complete.

    Raises:
        InputError: What is asked for cannot be.
        RefusedError: The model does not keep its own contract.
        UnavailableError: The disk is full, or model-signing is not installed.
    """
    progress = progress or Progress()
    given = _run(order)
    target = order.output or given.folder.absolute().with_name(f"{given.folder.absolute().name}{SUFFIX}")
    _check(order, order.name or given.name, target)
    with guarded(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as folder:
            out = Path(folder) / "bundle"
            out.mkdir()
            manifest, left_out, raw = _Packing(order, given, out, Path(folder) / "work", progress).fill()
            size = sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
            seal.put(out, target, Path(folder))
    return Packed(target, manifest, size, left_out, _warnings(given.results), raw)


class _Given(GateArtefact):
    """A run with all that it leaves."""

    folder: Path
    contract: Any
    results: Mapping[str, Any]
    recipe: Mapping[str, Any]


def _run(order: Order) -> _Given:
    given = artefact(order.run)
    lacking = [
        name
        for name, value in (("results.json", given.results), (CONTRACT, given.contract), ("recipe.yaml", given.recipe))
        if value is None
    ]
    if lacking or given.folder is None:
        raise InputError(
            f"run must be a folder with {', '.join(lacking)}, got '{order.run}'", "the folder that a run left"
        )
    return _Given(**{each.name: getattr(given, each.name) for each in fields(given)})


def _check(order: Order, name: str, target: Path) -> None:
    """What is wrong with an order, all at once."""
    problems = []
    if unknown := [kind for kind in order.variants if kind not in models.KINDS]:
        problems.append(f"variant must be one of {', '.join(models.KINDS)}, got '{unknown[0]}'")
    if not NAME.fullmatch(name):
        problems.append(f"name must be letters, digits and . _ -, at most 100, got '{name}': --name")
    if order.version < 1:
        problems.append(f"version must be a whole number from 1 on, got {order.version}")
    if order.rows < 1:
        problems.append(f"rows must be at least 1, got {order.rows}")
    if not VERSION.fullmatch(order.runtime):
        problems.append(f"min-runtime must be a version such as 1.23, got '{order.runtime}'")
    if problems:
        raise InputError([Problem(message) for message in problems])
    seal.require_free(target, replace=order.replace)


class _Packing:
    """A bundle that is being made: what goes into it, and the folder that it is written to."""

    def __init__(self, order: Order, given: _Given, out: Path, work: Path, progress: Progress) -> None:
        self._order, self._given, self._out, self._work = order, given, out, work
        self._job = rows.job(given, Store(order.store), progress)
        self._files = self._job.task.files(given.model)
        if missing := [file.name for file in self._files.values() if not file.is_file()]:
            raise InputError(f"run must be a folder with {', '.join(missing)}, got '{order.run}'", "the whole folder")
        self._graphs = self._read()
        self._source = rows.Source(self._job, given.contract, given.folder)
        self._contract = self._described()
        self._generates = generation.is_generated(self._contract)
        self._final = [row for row in given.results["stages"] if row["kept"]][-1]

    def fill(self) -> tuple[Manifest, Mapping[str, str], Raw | None]:
        """Writes every file: the manifest, kind of variant → why there is none, and the raw model if it is there."""
        order, given, out = self._order, self._given, self._out
        real = self._rows()
        raw, refused = self._raw() if order.raw else (None, {})
        made = models.make(self._wanted(real, raw), out, self._work, self._job.progress.say)
        made.left_out |= refused
        outside = {name for each in self._graphs.values() for name in each.outside}
        _processor(given, {file.name for file in self._files.values()} | outside, out)
        name = order.name or given.name
        self._receipt(name, made, raw)
        answers = _golden(real, self._contract, made, out)
        if lacking := answers.widths(self._contract["decoding"]):
            raise RefusedError(lacking)
        (out / GOLDEN).write_bytes(canonical.dump(answers.to_json()))
        (out / OPERATORS).write_bytes(made.operators.encode())
        _agree(self._contract, made.variants, out)
        return seal.seal(out, name, order.version, made.variants, order.signer), made.left_out, raw

    def _read(self) -> dict[str, graph.Graph]:
        """Every graph of the run's model, as its file says."""
        found = {name: graph.read(memoryview(file.read_bytes()), file.name) for name, file in self._files.items()}
        if self._job.task.fed_back(self._given.contract):
            return found  # Frames of what streams are all alike.
        # A run for a provider of fixed shapes leaves them fixed; what a device feeds is as long as its rows are.
        return {name: graph.freed(each) for name, each in found.items()}

    def _described(self) -> Mapping[str, Any]:
        """The contract, which the graphs must agree with."""
        given, source = self._given, self._source
        found = describe.describe(self._job.task, given.contract, self._graphs, given.folder, lambda: source.processor)
        if wrong := contracts.problems(found):
            raise InputError([Problem(f"contract of the run: {each}", "run the recipe again") for each in wrong])
        graphs, files = self._graphs.items(), self._files
        apart = [contracts.disagreements(found, each, files[name].name, {}, name) for name, each in graphs]
        if any(apart):
            raise RefusedError([each for findings in apart for each in findings])
        return found

    def _rows(self) -> rows.Rows:
        """The rows that become golden ones: the user's own, or some of the run's."""
        order, contract = self._order, self._contract
        if order.inputs:
            inputs = generation.prompt_inputs(contract) if self._generates else contract
            return rows.given_rows(order.inputs, inputs, order.rows)
        return self._source.prompts(order.rows) if self._generates else self._source.requests(order.rows)

    def _wanted(self, real: rows.Rows, raw: Raw | None) -> models.Wanted:
        order, given, job = self._order, self._given, self._job
        return models.Wanted(
            kinds=order.variants,
            files=self._files,
            precision=self._final["precision"],
            targets=_targets(job.profile, order),
            store=job.store,
            requests=real.requests,
            said=self._generates,
            longest=rows.longest(job.task, given.contract),
            reference=lineages.reference(given.results, job.store.root, job.task) if "fp32" in order.variants else None,
            runtime=order.runtime,
            memory_bytes=_memory(given.results["stages"]),
            judged=self._final.get("provider") == job.profile.providers[0].name,
            further=[raw.variant.file] if raw else [],
        )

    def _raw(self) -> tuple[Raw | None, dict[str, str]]:
        """The raw model, or why there is none."""
        from edgesft.ship.raw.make import make
        from edgesft.ship.raw.wanted import Wanted

        order, given, job = self._order, self._given, self._job
        count, precision = 0 if order.inputs else order.rows, self._final["precision"]
        wanted = Wanted(job, given.contract, self._contract, given.model, precision, order.runtime, count)
        try:
            made = make(wanted, self._out, self._work / "raw", job.progress.say)
        except StageError as error:
            return None, {"raw": str(error).partition("\n")[0]}
        (self._out / RAW).write_bytes(canonical.dump(made.to_json()))
        return made, {}

    def _receipt(self, name: str, made: models.Models, raw: Raw | None) -> None:
        """Writes the contract, and what the release was made of and accepted on."""
        order, given, out = self._order, self._given, self._out
        terms = licences.find(_base(self._job), order.licences)
        terms.copy(out)
        lineage = lineages.lineage(given.results, terms.to_json(), made.left_out, made.compiled)
        measurements = lineages.measurements(given.results)
        variants = [*made.variants, *([raw.variant] if raw else [])]
        sizes = {each.name: sum((out / file).stat().st_size for file in each.files) for each in variants}
        told = raw.told() if raw else None
        text = card.card(name, order.version, self._contract, lineage, measurements, variants, sizes, told)
        (out / contracts.CONTRACT).write_bytes(canonical.dump(self._contract))
        (out / lineages.LINEAGE).write_bytes(canonical.dump(lineage))
        (out / lineages.MEASUREMENTS).write_bytes(canonical.dump(measurements))
        (out / card.CARD).write_bytes(text.encode())


def _targets(profile: ProfileSpec, order: Order) -> list[context.Target]:
    """What the profile's provider is to compile ahead for: its own chip, or those that were asked for."""
    spec, machine = profile.providers[0], order.device or HERE
    known = PROVIDERS.get(spec.name)
    named = [{**spec.options, known.chip: chip} for chip in order.chips] if known and known.chip else []
    return [
        context.Target(spec.model_copy(update={"options": options}), profile.threads, machine, profile.session)
        for options in named or [spec.options]
    ]


def _memory(stages: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """What a process took more at its most than before it loaded the last model that was kept, by its precision."""
    found = dict[str, int]()
    for row in (row for row in stages if row["kept"]):
        measured = row.get("measurement") or {}
        peak, before = measured.get("peak_memory_bytes"), measured.get("baseline_memory_bytes")
        found[row["precision"]] = max(0, peak - before) if peak and before else 0
    return found


def _base(job: Job) -> Path | None:
    """Folder of the base model, whose terms lie in it; None where it is not on this machine any more."""
    try:
        model = job.model
    except InputError:
        return None
    return model.folder if isinstance(model, OnnxFile) else model if isinstance(model, Path) else None


def _processor(given: _Given, model: set[str], out: Path) -> None:
    """Copies the files that make inputs of raw rows: all but the model's own and what is no device's business."""
    loaded = {*model, CONTRACT, *BESIDE}
    for path in sorted(given.folder.iterdir()):
        if path.is_file() and path.name not in loaded and not path.name.startswith("."):
            name = f"{describe.PROCESSOR}/{path.name}"
            if wrong := names.wrong(name):
                raise InputError(f"'{path}': a name {wrong}", "rename it, and what refers to it")
            (out / name).parent.mkdir(exist_ok=True)
            shutil.copyfile(path, out / name)


def _golden(real: rows.Rows, said: Mapping[str, Any], made: models.Models, out: Path) -> Golden:
    """What the models answer on the CPU provider, or where they were compiled; all of a precision must answer alike.

    Raises:
        RefusedError: One does not.
    """
    import onnxruntime

    answers: dict[str, list[Outputs]] = dict(made.answers)
    running = [variant for variant in made.variants if variant.form != "context"]
    for variant in running:
        if variant.golden not in answers:
            run = session.runner(out, variant)
            answers[variant.golden] = [generation.answer(said, run, request) for request in real.requests]
    found = [
        Row(request, {name: each[place] for name, each in answers.items()}, raw)
        for place, (request, raw) in enumerate(zip(real.requests, real.raw, strict=True))
    ]
    precisions = {variant.golden: variant.precision for variant in made.variants}
    told = Golden(found, golden.tolerances(precisions), onnxruntime.__version__)
    for variant in running:
        if apart := told.findings(variant, said, session.runner(out, variant), session.CPU):
            raise RefusedError(apart)
    return told


def _agree(described: Mapping[str, Any], variants: Sequence[Variant], out: Path) -> None:
    """Every model keeps the contract, and finds its weights in the bundle."""
    from edgesft.ship import verify

    found = verify.models(Folder(out), described, variants)
    if found:
        raise RefusedError(found)


def _warnings(results: Mapping[str, Any]) -> list[str]:
    if results["verdict"] == "pass":
        return []
    return [f"the run's verdict is '{results['verdict']}': the bundle's card and measurements.json say so"]
