"""A job: one recipe on one profile. It makes what the steps share, when it is first needed.

A run whose steps are all in the store asks for none of the heavy things here, which keeps it under three seconds.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from edgesft.budget.metric import scale
from edgesft.data import arrays, files, places, sources, splits
from edgesft.data.files import sha256
from edgesft.data.splits import Splits
from edgesft.measure import fingerprint
from edgesft.measure.agent import CPU
from edgesft.measure.devices import HERE, Device
from edgesft.pipeline.check import Checked
from edgesft.pipeline.plan import export_settings, training
from edgesft.progress import Progress
from edgesft.spec.load import is_file
from edgesft.spec.model import FactorySpec, ModelSpec, OnnxSpec
from edgesft.spec.profile import MeasureSpec, ProfileSpec
from edgesft.spec.recipe import RecipeSpec
from edgesft.stages.artefact import TOKENIZER, VOCABULARY, Artefact
from edgesft.store.keys import key, versions
from edgesft.store.store import Store
from edgesft.tasks import chunked, registry
from edgesft.tasks.base import Example, Row, Task
from edgesft.tasks.contract import Contract
from edgesft.tasks.models import factory, source
from edgesft.tasks.models.source import Source

EXAMPLES_VERSION = 1
"""Raised when the same rows would be encoded or laid out otherwise in the store."""

ALIKE = ("task", "splits", "contract", "model", "machine", "measuring", "untimed", "facts", "data_digest")
"""What is the same whoever encodes the rows."""

BINDING = ("architecture", "system", "model", "board", "cores", "instructions", "governor", "onnxruntime")
"""Fields of the fingerprint without which a measurement says nothing about this machine."""


@dataclass(frozen=True)
class Job:
    """The surroundings of a run.

    Attributes:
        recipe: What to do.
        base: Folder that the recipe's paths are relative to.
        profile: The device.
        store: Where steps and measurements are kept.
        progress: Tells the person what goes on.
        own: Folder of the processor that the rows are encoded by; None is the pretrained model's.
        device: Where models are measured and answer; training and conversion are always here.
    """

    recipe: RecipeSpec
    base: Path
    profile: ProfileSpec
    store: Store
    progress: Progress
    own: Path | None = None
    device: Device = HERE

    @classmethod
    def each(cls, checked: Checked, store: Store, progress: Progress, device: Device = HERE) -> list[Job]:
        """A job for each profile of a recipe that was checked, and whose rows are therefore read."""
        jobs = [cls(checked.recipe, checked.base, each, store, progress, device=device) for each in checked.profiles]
        for job in jobs:
            if checked.rows is not None:
                vars(job)["splits"] = checked.rows
        return jobs

    @cached_property
    def task(self) -> Task:
        """What the model is for."""
        return registry.of(self.recipe, self.base)

    @cached_property
    def splits(self) -> Splits:
        """The labelled rows."""
        return splits.load(self.recipe.data, self.task.schema, self.base, self.recipe.seed, self.store)

    @cached_property
    def contract(self) -> Contract:
        """What the rows and the recipe imply for device code."""
        options = self.task.implied(self.model, self.recipe.data.options())
        return self.task.contract(self.splits.train, options)

    @cached_property
    def model(self) -> Source:
        """Where the pretrained weights are."""
        return self.source(self.recipe.model)

    def source(self, text: ModelSpec) -> Source:
        """A model's folder, hub id or factory; a relative folder is the recipe's."""
        return source.resolve(text, self.base)

    @cached_property
    def processor(self) -> Any:
        """The pretrained model's tokenizer or the like."""
        return self.task.load_processor(self.source(str(self.own)) if self.own else self.model, self.contract)

    def reading(self, artefact: Artefact) -> Job:
        """The same with the rows as a trimmed artefact's own tokenizer encodes them; itself for others."""
        if VOCABULARY not in artefact.contract.options:
            return self
        known: dict[str, Job] = vars(self).setdefault("_readings", {})
        digest = sha256(artefact.path / TOKENIZER)
        if digest not in known:
            known[digest] = replace(self, own=artefact.path)
            vars(known[digest]).update({name: vars(self)[name] for name in ALIKE if name in vars(self)})
        return known[digest]

    @cached_property
    def train(self) -> Sequence[Example]:
        """Encoded training rows."""
        return self._encoded("train", self.splits.train)

    @cached_property
    def validation(self) -> Sequence[Example]:
        """Encoded validation rows."""
        return self._encoded("validation", self.task.merge_references(self.splits.validation))

    @cached_property
    def test(self) -> Sequence[Example]:
        """Encoded test rows; empty where the recipe has no test split."""
        return self._encoded("test", self.task.merge_references(self.splits.test or ()))

    def _encoded(self, split: str, rows: Sequence[Row]) -> Sequence[Example]:
        """Encoded rows: in memory, or where the recipe says so in the store, which then has them once for all."""
        if not (self.recipe.data.on_disk and rows):
            return self.task.encode(rows, self.processor, self.contract)
        facts = {
            "kind": "examples",
            "version": EXAMPLES_VERSION,
            "split": split,
            "contract": self.contract.to_json(),
            "tokenizer": sha256(self.own / TOKENIZER) if self.own else None,
            **self.facts,
            # The test rows are no part of what the model is made from.
            "data": self.data_digest if split == "test" else self.facts["data"],
        }

        def build(out: Path, work: Path) -> None:
            self.progress.say(f"encoding the {split} rows …")
            arrays.write(chunked.encode(self.task, rows, self.processor, self.contract), out)

        return arrays.MappedArrays(self.store.make(key(facts), build))

    @cached_property
    def unknown(self) -> Sequence[Example]:
        """Encoded rows of no known class; empty where the recipe has none."""
        rows = splits.unknown(self.recipe.data, self.task.schema, self.base, self.store)
        return self.task.encode(rows, self.processor, self.contract) if rows else ()

    @property
    def unknown_digest(self) -> list[str] | None:
        """Content digest of the rows of no known class; None where the recipe has none."""
        data = self.recipe.data
        if data.unknown is None:
            return None
        return sources.find(data.unknown, self.base, "test", places.column(data, self.task.medium, self.base)).digest()

    @property
    def has_test(self) -> bool:
        """Whether there is a test split."""
        return self.recipe.data.test is not None

    @property
    def resolved(self) -> dict[str, Any]:
        """The recipe as it was carried out: full paths, nothing inherited, so that it runs from anywhere."""
        recipe = self.recipe.model_dump(mode="json", exclude_none=True)
        data = self.recipe.data
        column = places.column(data, self.task.medium, self.base)
        recipe["data"]["folders"] = {
            role: str(files.place(text, self.base).absolute()) for role, text in data.folders.items()
        }
        recipe["data"]["join"] = {
            column: sources.find(text, self.base, "train").resolved for column, text in data.join.items()
        }
        for split, value in data.files().items():
            located = places.located(value, self.base, split, column)
            resolved = {head: place.resolved for head, place in located.items()}
            recipe["data"][split] = resolved.get(places.ALONE, resolved)
        if data.generation and data.generation.features:
            recipe["data"]["generation"]["features"] = str(files.place(data.generation.features, self.base).absolute())
        if data.unknown is not None:
            recipe["data"]["unknown"] = sources.find(data.unknown, self.base, "test", column).resolved
        if isinstance(model := self.recipe.model, FactorySpec):
            found = factory.resolve(model, self.base)
            recipe["model"]["path"] = str(found.path)
            if found.weights:
                recipe["model"]["weights"] = str(found.weights.absolute())
        elif isinstance(model, OnnxSpec):
            recipe["model"]["onnx"] = str(files.place(model.onnx, self.base).absolute())
            if model.processor and (folder := files.place(model.processor, self.base)).is_dir():
                recipe["model"]["processor"] = str(folder.absolute())
        for place in (recipe, *recipe["stages"]):
            for name in ("model", "teacher"):
                if (folder := files.place(str(place.get(name)), self.base)).is_dir():
                    place[name] = str(folder.absolute())
        for stage, spec in zip(recipe["stages"], self.recipe.stages, strict=True):
            if settings := training(spec, self.recipe):
                stage.update(settings.model_dump(mode="json"))
        profiles = [str((self.base / name).absolute()) if is_file(name) else name for name in self.recipe.profiles()]
        return {**recipe, "profile": profiles if len(profiles) > 1 else profiles[0]}

    @cached_property
    def machine(self) -> Mapping[str, Any]:
        """This machine's fingerprint."""
        return fingerprint.machine()

    @cached_property
    def measuring(self) -> Mapping[str, Any]:
        """Fingerprint of the machine that measures.

        Raises:
            MeasureError: It cannot be reached, or has no onnxruntime.
        """
        if self.device is HERE:
            return self.machine
        from edgesft.measure.driver import Agent

        with Agent(device=self.device) as agent:
            return dict(agent.info()["machine"])

    @cached_property
    def untimed(self) -> str | None:
        """Why nothing can be timed on the profile's provider there: it is simulated; None where it can.

        Raises:
            MeasureError: The provider cannot be asked for.
        """
        if self.device is HERE and self.profile.providers[0].name == CPU:
            return None
        from edgesft.measure.driver import Agent
        from edgesft.measure.measurement import untimed
        from edgesft.measure.model.tiny import tiny_model

        with tempfile.TemporaryDirectory() as folder:
            probe = Path(folder) / "probe.onnx"
            probe.write_bytes(tiny_model())
            with Agent(device=self.device) as agent:
                told = agent.load(probe, self.profile.providers, self.profile.threads, allow_cpu=True)
        return untimed(told.simulated) if told.simulated else None

    @cached_property
    def differences(self) -> list[str]:
        """Each field in which the machine that measures is not the profile's."""
        return fingerprint.differences(self.profile.machine, self.measuring)

    @cached_property
    def facts(self) -> Mapping[str, Any]:
        """What every content key of this run starts from."""
        data = self.recipe.data
        return {
            "task": self.recipe.task,
            "model": source.digest(self.model),
            "trust_remote_code": self.recipe.trust_remote_code,
            # The test rows are read for the report alone: other ones make the same model.
            "data": places.digest(
                data.model_copy(update={"test": None}) if "test" in data.files() else data,
                self.base,
                self.task.medium,
            ),
            "seed": self.recipe.seed,
            "versions": versions(),
        }

    @cached_property
    def data_digest(self) -> str:
        """Digest of all splits, the test rows included."""
        return places.digest(self.recipe.data, self.base, self.task.medium)

    @cached_property
    def runtime(self) -> Mapping[str, Any]:
        """What a measurement is bound to besides the model."""
        return {
            "machine": {name: self.measuring.get(name) for name in BINDING},
            "providers": [provider.model_dump() for provider in self.profile.providers],
            "threads": self.profile.threads,
            # Only where there is one, so that what was measured before is still known.
            **({"session": told} if (told := self.profile.session.told) else {}),
        }

    @property
    def target(self) -> ProfileSpec:
        """The profile as the stages see it: the recipe's export stage may set the opset."""
        opset = export_settings(self.recipe).opset or self.profile.opset
        return self.profile.model_copy(update={"opset": opset})

    @property
    def metric(self) -> str:
        """The metric that decides."""
        return self.task.metrics[0]

    @property
    def allowances(self) -> dict[str, float]:
        """How far each metric that the budget limits, and the deciding one, may fall below the fine-tuned original; but
        for those that are taken of the models that are reported alone.
        """
        limits = {self.metric: scale(self.metric).allowance, **self.recipe.budget.max_drop}
        return {name: limit for name, limit in limits.items() if name not in self.task.costly_metrics}

    @property
    def allowance(self) -> float:
        """That of the deciding metric."""
        return self.allowances[self.metric]

    @property
    def full(self) -> MeasureSpec:
        """How the final latencies are taken."""
        benchmark = next((spec for spec in self.recipe.stages if spec.stage == "benchmark"), None)
        changes = benchmark.model_dump(include={"samples", "seconds"}, exclude_none=True) if benchmark else {}
        return self.profile.measure.model_copy(update=changes)

    @property
    def quick(self) -> MeasureSpec:
        """How a latency that decides within the run is taken: a third of the profile's time, still 100 samples."""
        measure = self.profile.measure
        return measure.model_copy(
            update={
                "samples": max(100, measure.samples // 3),
                "seconds": measure.seconds / 3,
                "scenario": "single-stream",
            }
        )
