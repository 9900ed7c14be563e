"""The recipe: the file that a user writes to get a model that meets a budget."""

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
    """Training rows: a csv, tsv, jsonl, json, parquet, npz or idx file; `file#train` for the rows whose column `split`
    says `train`; `hub://owner/name/configuration#split` from the Hugging Face hub; or a folder that `datasets` reads.
    Pictures and sounds: a folder or zip archive with one folder per class. Boxes: COCO's json, next to its pictures or
    their folder `images`. Several heads: one for each head, by its name."""
    validation: Split = 0.1
    """Validation rows: a file, or a share of train, drawn by the seed. Every decision of a run uses them.
    Recommendation: `last` is each user's last interaction in train, or the last but one if `test` is also `last`."""
    test: Split | None = None
    """Test rows: a file, a share of train, or `last`. Used only for the report and the verdict."""
    unknown: str | None = None
    """File of inputs that belong to no known class. Used only for the report: how well the model tells them from the
    others."""
    group: str | None = None
    """Column that identifies a person, document or device. Rows of the same group stay in the same split when a share
    is drawn."""
    fold: str | None = Field(None, pattern=r"^[1-9][0-9]*/[1-9][0-9]*$")
    """Cross-validation: `2/5` makes the second of five parts of train the validation rows, instead of `validation`."""
    per_class: int | None = Field(None, ge=1)
    """Few-shot: the number of training rows per label, drawn by the seed. The others are left out."""
    columns: dict[str, str] = {}
    """Role → column name. By default a column is named as its role (`text`, `label`)."""
    join: dict[str, str] = {}
    """Column → file with one row for each of its values; the file's other columns are added to the rows."""
    folders: dict[str, str] = {}
    """Role of a file column → folder that its relative paths start from. By default the table's folder."""
    max_length: int = Field(128, ge=4, le=8192)
    """Maximum input length in tokens. Longer inputs are cut."""
    stride: int | None = Field(None, ge=1, le=8192)
    """Question answering: tokens by which two windows of a long passage overlap. By default a quarter of
    `max_length`."""
    template: str | None = Field(None, min_length=1)
    """Text generation: Jinja template of a conversation. `plain` writes one line per message; `tokenizer` uses the
    template of the model's tokenizer, which is the default if it has one."""
    prefix: str | None = Field(None, min_length=1)
    """Text to text: text put before each input, such as `translate English to Chinese: `."""
    labels: tuple[str, ...] | dict[str, str] = ()
    """Zero-shot: labels that need no training rows. A label may have a description, which is then used as its text."""
    allow_overlap: bool = False
    """Continue even if 1 % or more of the test rows are also in train."""
    image: ImageSpec | None = None
    """Pictures: preprocessing. Keys left out come from the model's `preprocessor_config.json`."""
    audio: AudioSpec | None = None
    """Sounds: preprocessing."""
    frames: FramesSpec | None = None
    """Streaming sound: how it is cut into frames and put together again."""
    boxes: BoxesSpec | None = None
    """Detection: how the model's outputs become boxes."""
    interactions: InteractionsSpec | None = None
    """Recommendation: which interactions count, and what the model returns."""
    generation: GenerationSpec | None = None
    """Image generation: how pictures are generated and evaluated."""
    speech: SpeechSpec | None = None
    """Text to speech: how texts are read, and which features of the sound are predicted."""
    unreadable: float = Field(0.01, ge=0, lt=1)
    """Pictures and sounds: maximum share of a file's rows that may be skipped because their files cannot be opened, or
    are not the pictures that their boxes were drawn on."""
    on_disk: bool = False
    """Keeps rows and everything computed from them in the store instead of in memory, for data sets larger than memory.
    The resulting model is the same."""

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
    """A complete run."""

    version: Literal[1]
    name: str | None = Field(None, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """Name of the run's folder. By default the name of the recipe file."""
    model: ModelSpec
    """A folder, a hub id, `pkg://package/path` for weights inside an installed package, your own factory function, or
    an existing ONNX file."""
    task: str
    """For example text-classification."""
    data: DataSpec
    profile: str | tuple[str, ...] = "x86-1-thread"
    """One profile or several, by name or file. Each gets its own verdict."""
    budget: BudgetSpec = BudgetSpec()
    stages: tuple[StageSpec, ...] = Field(min_length=1, json_schema_extra=_or_auto)
    """The stages, in this order. `auto` stands for a complete chain."""
    seed: int = Field(0, ge=0, lt=2**32)
    trust_remote_code: bool = False
    """Whether the model may run Python code that comes with it. No task supports this yet: such a model is refused."""

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
