"""The recipe: what a person writes to get a model that meets a budget."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from edgesft.spec.auto import AUTO
from edgesft.spec.base import Spec
from edgesft.spec.budget import BudgetSpec
from edgesft.spec.generation import GenerationSpec
from edgesft.spec.hub import PREFIX, HubAddress
from edgesft.spec.interactions import LAST, InteractionsSpec
from edgesft.spec.media import AudioSpec, BoxesSpec, FramesSpec, ImageSpec, SpeechSpec
from edgesft.spec.model import ModelSpec
from edgesft.spec.stages import StageSpec

Files = str | dict[str, str]
Split = Files | Annotated[float, Field(gt=0, lt=1)]


def _or_auto(schema: dict[str, Any]) -> None:
    """Files may also say `auto`, for which they are read as its stages."""
    described = {name: schema.pop(name) for name in ("title", "description") if name in schema}
    listed = dict(schema)
    schema.clear()
    schema.update(**described, anyOf=[listed, {"const": AUTO}])


class DataSpec(Spec):
    """Where the labelled rows are."""

    train: Files
    """File of training rows: csv, tsv, jsonl, json, parquet, npz or idx; `file#train` for those whose column `split`
    says so; `hub://owner/name/configuration#split` of the hub, or a folder that `datasets` reads; of pictures and
    sounds a folder or zip archive with a folder a class; of boxes COCO's json, beside its pictures or their folder
    `images`; for several heads one each, by the head's name."""
    validation: Split = 0.1
    """File, or the share that is carved from train by the seed. Every decision of a run is taken on it.
    Recommendation: `last` is what each user of train did last, or last but one where `test` says so, too."""
    test: Split | None = None
    """File, or a share of train, or `last`. Read only for the report and the verdict."""
    unknown: str | None = None
    """File of inputs that are of no known class. Read only for the report: how well they are told from the others."""
    group: str | None = None
    """Column whose rows stay together where a share is carved: a person, a document, a device."""
    fold: str | None = Field(None, pattern=r"^[1-9][0-9]*/[1-9][0-9]*$")
    """Cross-validation: `2/5` makes the second of five parts of train the validation rows, instead of `validation`."""
    per_class: int | None = Field(None, ge=1)
    """Few-shot: so many training rows of each label are drawn by the seed, the others left out."""
    columns: dict[str, str] = {}
    """Role → column name; by default a column has its role's name (`text`, `label`)."""
    join: dict[str, str] = {}
    """Column → file with more about its values, each of which it has once: its other columns are added to the rows."""
    folders: dict[str, str] = {}
    """Role of files → folder that their relative paths start from; by default that of the table."""
    max_length: int = Field(128, ge=4, le=8192)
    """Longest input in tokens; longer ones are cut."""
    stride: int | None = Field(None, ge=1, le=8192)
    """Question answering: tokens that two windows of a long passage share; by default a quarter of `max_length`."""
    template: str | None = Field(None, min_length=1)
    """Text generation: how conversations are written, in Jinja; `plain` is a line for each message, `tokenizer` what
    the model's tokenizer has, which is the default where it has one."""
    prefix: str | None = Field(None, min_length=1)
    """Text to text: what is written before each input, such as `translate English to Chinese: `."""
    labels: tuple[str, ...] | dict[str, str] = ()
    """Zero-shot: labels that need no training rows, perhaps each with a description, which is then its text."""
    allow_overlap: bool = False
    """Go on though a percent or more of the test rows are also in train."""
    image: ImageSpec | None = None
    """Pictures: how they are read; what is left out is as the model's `preprocessor_config.json` says."""
    audio: AudioSpec | None = None
    """Sounds: how they are read."""
    frames: FramesSpec | None = None
    """Sound that comes bit by bit: how it is cut into frames, and put together again."""
    boxes: BoxesSpec | None = None
    """Detection: how boxes are made of what the model says."""
    interactions: InteractionsSpec | None = None
    """Recommendation: which of a file's interactions count, and what is answered."""
    generation: GenerationSpec | None = None
    """Image generation: how pictures are made, and by what they are compared with the rows."""
    speech: SpeechSpec | None = None
    """Text to speech: how texts are read, and what of their sounds is predicted."""
    unreadable: float = Field(0.01, ge=0, lt=1)
    """Pictures and sounds: the largest share of a file's rows that may be left out because their files do not open."""
    on_disk: bool = False
    """For sets larger than memory: rows and what is made of them lie in the store, not in memory. Makes the same
    model."""

    @field_validator("fold")
    @classmethod
    def _fold_of(cls, value: str | None) -> str | None:
        if value is not None:
            number, count = map(int, value.split("/"))
            if count < 2 or number > count:
                raise ValueError("must be one of at least two parts, such as 2/5")
        return value

    @field_validator("train", "validation", "test", "unknown")
    @classmethod
    def _hub_addresses(cls, value: Split | None) -> Split | None:
        for text in value.values() if isinstance(value, dict) else (value,):
            if isinstance(text, str) and text.startswith(PREFIX):
                HubAddress.parse(text)
        return value

    def files(self) -> dict[str, Files]:
        """The splits that are files, by name."""
        named = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: value for name, value in named.items() if isinstance(value, str | dict) and value != LAST}

    def options(self) -> dict[str, Any]:
        """What of this is the task's to know; what is not set is left out."""
        found: dict[str, Any] = {"max_length": self.max_length, "stride": self.stride, "labels": self.labels}
        found |= {"template": self.template, "prefix": self.prefix}
        for name in ("image", "audio", "frames", "boxes", "speech", "interactions", "generation"):
            spec: Spec | None = getattr(self, name)
            # What models are only judged by is no part of them.
            beside = {"features"} if name == "generation" else None
            found[name] = spec and spec.model_dump(mode="json", exclude_unset=True, exclude=beside)
        return {name: value for name, value in found.items() if value}


class RecipeSpec(Spec):
    """A whole run."""

    version: Literal[1]
    name: str | None = Field(None, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """Name of the run's folder; by default the recipe file's."""
    model: ModelSpec
    """A folder, a hub id, `pkg://package/path` for weights inside an installed package, a factory of one's own, or an
    ONNX file that others made."""
    task: str
    """For example text-classification."""
    data: DataSpec
    profile: str | tuple[str, ...] = "x86-1-thread"
    """One profile or several: names or files. Each gets its own verdict."""
    budget: BudgetSpec = BudgetSpec()
    stages: tuple[StageSpec, ...] = Field(min_length=1, json_schema_extra=_or_auto)
    """What to do, in this order; `auto`, for which `load` puts in a whole chain, does all there is to do."""
    seed: int = Field(0, ge=0, lt=2**32)
    trust_remote_code: bool = False
    """Allow a model to run Python code that comes with it; no task can do so yet, and says so."""

    @field_validator("profile")
    @classmethod
    def _some_profile(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        names = (value,) if isinstance(value, str) else value
        if not names or len(set(names)) != len(names):
            raise ValueError("must name at least one profile, each once")
        return value

    def profiles(self) -> tuple[str, ...]:
        """The profiles by name, always a tuple."""
        return (self.profile,) if isinstance(self.profile, str) else self.profile
