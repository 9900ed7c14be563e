"""What a recipe may say of each stage. One class a stage; `STAGES` is their registry."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from edgesft.spec.base import Spec
from edgesft.spec.training import TrainingSpec

Keep = Literal["auto", "always"]

Precision = Literal["fp32", "int8-dynamic", "int8-static", "auto"]


class FinetuneSpec(TrainingSpec):
    """Supervised fine-tuning of the model on the labelled rows."""

    stage: Literal["finetune"]
    name: str | None = None
    """Name of the row; by default the stage's kind."""
    head: Literal["random", "prototypes"] = "random"
    """What the head starts from where it is new: noise, or each class's mean, which helps with few rows a class."""
    learning_rates: tuple[Annotated[float, Field(gt=0, le=1)], ...] = ()
    """Learning rates that are tried first, each for a part of the epochs; the best one trains, and of those that do as
    well within the error of the validation rows the lowest. Where given, `learning_rate` is not used here."""

    @model_validator(mode="after")
    def _no_teacher(self) -> FinetuneSpec:
        return self.judged()


class LessonSpec(TrainingSpec):
    """What a student learns of its teacher."""

    temperature: float = Field(2.0, gt=0)
    """Softens both distributions (Hinton et al. 2015, arXiv 1503.02531)."""
    labels_weigh: ClassVar[float] = 0.3
    """Where `hard_weight` is not said, and rows are not mixed."""
    hard_weight: float | None = Field(None, ge=0, le=1)
    """Weight of the labels; the teacher's logits weigh the rest. By default 0.3, in recovery from pruning 0.5, and 0
    where rows are mixed: only the teacher knows what mixtures are."""
    hidden_weight: Annotated[float, Field(ge=0)] | Literal["auto"] = "auto"
    """Weight of the hidden states' mean squared error (Jiao et al. 2019, arXiv 1909.10351), of the features where it is
    a convolutional net; `auto` is 1 where the model tells its hidden states, else 0."""
    layer_map: tuple[Annotated[int, Field(ge=0)], ...] = ()
    """Which hidden state of the teacher each of the student's is compared with, the embeddings' being 0; by default
    embeddings with embeddings, last with last, evenly between."""
    relation_weight: float = Field(0.0, ge=0)
    """Weight of how positions relate to each other in the last attention (Wang et al. 2020, arXiv 2012.15828)."""


class PruneSpec(LessonSpec):
    """Structured, physical pruning followed by recovery training."""

    stage: Literal["prune"]
    name: str | None = None
    keep: Keep = "auto"
    """`auto` rolls the stage back when it does not pay."""
    parameters: float | None = Field(None, gt=0, lt=1)
    """Share of the parameters that may remain."""
    latency: Annotated[float, Field(gt=0, lt=1)] | Literal["auto"] | None = None
    """Share of the input's measured p50 latency that may remain; `auto` goes on, a part at a time, until the deciding
    metric on validation falls by more than half of the allowance, and then back one."""
    latency_ms: float | None = Field(None, gt=0)
    """The same in milliseconds, on this machine."""
    rounds: int = Field(1, ge=1, le=100)
    """How often a part is cut and what is left trained again, sharing the epochs; 1 cuts all at once. Not with
    `latency: auto`, whose rounds have all epochs each."""
    precision: Precision = "fp32"
    """Precision of the exports that `latency` and `latency_ms` compare; `auto` is int8 where the input was measured to
    be faster in it, static for models with convolutions, else dynamic."""
    optimized: bool = False
    """Whether these exports are written as the stage `optimize` may write them: what costs little there is then no
    reason to take it out."""
    importance: Literal["taylor", "magnitude"] = "taylor"
    """`taylor`: first-order loss change (Molchanov et al. 2019, arXiv 1906.10771); `magnitude`: L2 norm."""
    targets: tuple[Literal["heads", "ffn", "hidden", "channels", "rank"], ...] | None = Field(None, min_length=1)
    """Which widths may shrink; by default all that the model has but `hidden`, the residual stream of a transformer,
    and `rank`, which makes two linears of a low rank of one, where no other target lies in it."""
    exclude: tuple[str, ...] = ()
    """Module-name patterns (fnmatch) whose widths stay; each must match something."""
    vocabulary: Literal["whole", "trimmed", "auto"] = "whole"
    """`trimmed` leaves the tokens that training lacks out of the embeddings and the tokenizer (WordPiece), but single
    characters and what goes on within words; `auto` does so where it can and costs no more than a quarter of the
    allowance, if need be with a quarter or half of the others left in, the most frequent ones."""
    channel_multiple: int | None = Field(None, ge=1, le=1024)
    """Widths are rounded to a multiple of this; by default the profile's."""
    max_share: float = Field(1.0, gt=0, le=1)
    """The largest share that any one width may lose; at 1 whole residual branches may go, and layers of a row that the
    next one can do without."""
    teacher: str | None = None
    """Recovery also learns from this: a stage's name, a folder or a `pkg://` address."""
    labels_weigh: ClassVar[float] = 0.5
    hidden_weight: Annotated[float, Field(ge=0)] | Literal["auto"] = 0.0

    @model_validator(mode="after")
    def _one_target(self) -> PruneSpec:
        if sum(value is not None for value in (self.parameters, self.latency, self.latency_ms)) != 1:
            raise ValueError("must have exactly one of 'parameters', 'latency' and 'latency_ms'")
        if self.latency == "auto" and self.rounds != 1:
            raise ValueError("must not set 'rounds' where 'latency' is auto")
        return self if self.teacher else self.judged()


class DistillSpec(LessonSpec):
    """Learning from a teacher's logits and hidden states."""

    stage: Literal["distill"]
    name: str | None = None
    keep: Keep = "auto"
    teacher: str = "finetune"
    """A stage's name, a folder or a `pkg://` address; by default the fine-tuned original."""
    layers: tuple[int, ...] | int | None = None
    """Layers of the present model that the student keeps: their indices, or how many, evenly spaced."""
    sequences: bool = False
    """Text generation, text to text: answers are what the teacher says, in place of the rows' own (Kim and Rush 2016,
    arXiv 1606.07947)."""


class QuantizeSpec(Spec):
    """Post-training quantization of the ONNX model."""

    stage: Literal["quantize"]
    name: str | None = None
    keep: Keep = "auto"
    scheme: Literal["auto", "int8-dynamic", "int8-static", "int4", "fp16"] = "auto"
    """`auto` measures the candidates that the profile allows and keeps the fastest within the accuracy allowance, of
    those that the budget's size has room for if it has for any."""
    backend: Literal["onnxruntime", "neural-compressor"] = "onnxruntime"
    """Who quantizes `int8-static`."""
    calibration_rows: int = Field(128, ge=1)
    """Training rows that set the activation ranges of `int8-static`."""
    calibration: Literal["minmax", "entropy", "percentile"] = "minmax"
    """How ONNX Runtime's calibrator sets a range."""
    per_channel: bool = True
    """One weight scale an output channel."""
    table_bits: Literal[4, 8] = 8
    """Of embedding tables in `int8-dynamic`; 4 makes them half as large, with a scale for each 32 values."""
    algorithm: Literal["rtn", "hqq"] = "rtn"
    """How `int4` rounds the weights of products: to nearest, or by half-quadratic optimisation."""
    smooth: float = Field(0.0, ge=0, le=1)
    """How much of what makes activations hard to round in 8 bits moves into the weights that read them (SmoothQuant;
    Xiao et al. 2022, arXiv 2211.10438, who take a half); 0 leaves all as it is. `auto` tries a half where int8 drops by
    more than the allowance."""
    exclude: tuple[str, ...] = ()
    """Node-name patterns (fnmatch) that stay in float; each must match something."""

    @model_validator(mode="after")
    def _no_idle_options(self) -> QuantizeSpec:
        idle = {
            "backend": self.scheme != "int8-static",
            "calibration": self.scheme not in ("int8-static", "auto") or self.backend == "neural-compressor",
            "calibration_rows": self.scheme not in ("int8-static", "auto") and not self.smooth,
            "table_bits": self.scheme != "int8-dynamic",
            "smooth": not self.scheme.startswith("int8") or self.backend == "neural-compressor",
            "algorithm": self.scheme != "int4",
            "per_channel": self.scheme in ("int4", "fp16"),
        }
        for name, unused in idle.items():
            if unused and getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"must not set '{name}', which {self.scheme} by {self.backend} does not use")
        return self


class OptimizeSpec(Spec):
    """Other ways to write the same ONNX graph: each is measured, and kept where it pays."""

    stage: Literal["optimize"]
    name: str | None = None
    keep: Keep = "auto"
    precision: Precision = "fp32"
    """Precision in which ways are timed, whatever the stage gives: what saves little in fp32 may save much in int8.
    `auto` is int8 where the graph was measured to be faster in it, static where it has convolutions, else dynamic."""
    tolerance: float = Field(1e-3, gt=0)
    """Greatest absolute difference of the logits from those of the graph as it was."""


class ExportSpec(Spec):
    """Conversion to ONNX, checked against torch on real rows."""

    stage: Literal["export"]
    name: str | None = None
    opset: int | None = Field(None, ge=17, le=23)
    """ONNX operator set; by default the profile's."""
    tolerance: float = Field(1e-3, gt=0)
    """Greatest absolute difference of the logits from torch's."""


class BenchmarkSpec(Spec):
    """Interleaved latency of every row; values left out come from the profile."""

    stage: Literal["benchmark"]
    name: str | None = None
    samples: int | None = Field(None, ge=30)
    """Least number of timed inferences a model."""
    seconds: float | None = Field(None, gt=0)
    """Least time spent on each model."""


StageSpec = Annotated[
    FinetuneSpec | PruneSpec | DistillSpec | OptimizeSpec | QuantizeSpec | ExportSpec | BenchmarkSpec,
    Field(discriminator="stage"),
]

STAGES: dict[str, type[Spec]] = {
    "finetune": FinetuneSpec,
    "prune": PruneSpec,
    "distill": DistillSpec,
    "optimize": OptimizeSpec,
    "quantize": QuantizeSpec,
    "export": ExportSpec,
    "benchmark": BenchmarkSpec,
}
