"""Settings of each stage: one class per stage. `STAGES` is their registry."""

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
    """Name of the stage's row in the table. By default the stage's kind."""
    head: Literal["random", "prototypes"] = "random"
    """How a new head is initialised: with noise, or with the mean of each class, which helps if there are few rows per
    class."""
    learning_rates: tuple[Annotated[float, Field(gt=0, le=1)], ...] = ()
    """Learning rates to try first, each for a part of the epochs. Training then uses the best one; if several are equal
    within the error of the validation rows, the lowest of them. Replaces `learning_rate` in this stage."""

    @model_validator(mode="after")
    def _no_teacher(self) -> FinetuneSpec:
        return self.judged()


class LessonSpec(TrainingSpec):
    """What a student learns from its teacher."""

    inherits: ClassVar[bool] = True
    temperature: float = Field(2.0, gt=0)
    """Softens both distributions (Hinton et al. 2015, arXiv 1503.02531)."""
    labels_weigh: ClassVar[float] = 0.3
    """Default of `hard_weight` if rows are not mixed."""
    hard_weight: float | None = Field(None, ge=0, le=1)
    """Weight of the labels in the loss; the teacher's logits get the rest. By default 0.3, after pruning 0.5, and 0
    where rows are mixed, because only the teacher can answer for mixtures."""
    hidden_weight: Annotated[float, Field(ge=0)] | Literal["auto"] = "auto"
    """Weight of the hidden states' mean squared error (Jiao et al. 2019, arXiv 1909.10351); for a convolutional net, of
    the feature maps'. `auto` is 1 if the model outputs its hidden states, else 0."""
    layer_map: tuple[Annotated[int, Field(ge=0)], ...] = ()
    """For each hidden state of the student, the index of the teacher's that it is compared with; 0 is the embeddings.
    By default first with first, last with last, and evenly spaced between."""
    relation_weight: float = Field(0.0, ge=0)
    """Weight of the relations between positions in the last attention layer (Wang et al. 2020, arXiv 2012.15828)."""


class PruneSpec(LessonSpec):
    """Structured pruning that makes the model physically smaller, followed by recovery training."""

    stage: Literal["prune"]
    name: str | None = None
    keep: Keep = "auto"
    """`auto` rolls the stage back if it does not pay."""
    parameters: float | None = Field(None, gt=0, lt=1)
    """Share of the parameters that may remain."""
    latency: Annotated[float, Field(gt=0, lt=1)] | Literal["auto"] | None = None
    """Share of the input's measured p50 latency that may remain. `auto` cuts in steps until the deciding metric on the
    validation rows has fallen by more than half of the allowance, and then goes back one step. If the budget limits
    `latency_ms.p50` or a `latency_ratio`, it aims for that limit first, and trains about as long again beyond it."""
    latency_ms: float | None = Field(None, gt=0)
    """The target in milliseconds, on this machine."""
    rounds: int = Field(1, ge=1, le=100)
    """Number of times to cut and retrain, sharing the epochs; 1 cuts all at once. Not with `latency: auto`, where each
    step trains for all epochs."""
    precision: Precision = "fp32"
    """Precision in which `latency` and `latency_ms` are measured. `auto` is int8 if the input was measured to be faster
    in int8 (static for models with convolutions, else dynamic), else fp32."""
    optimized: bool = False
    """Measures the graph as the `optimize` stage would rewrite it, so that nothing is cut that is cheap after
    rewriting."""
    importance: Literal["taylor", "magnitude"] = "taylor"
    """`taylor`: first-order loss change (Molchanov et al. 2019, arXiv 1906.10771); `magnitude`: L2 norm."""
    targets: tuple[Literal["heads", "ffn", "hidden", "channels", "rank"], ...] | None = Field(None, min_length=1)
    """Which widths may shrink. By default all that the model has except `hidden`, the residual stream of a transformer.
    `rank` splits a linear layer into two of low rank; by default only where no other target applies."""
    exclude: tuple[str, ...] = ()
    """Module-name patterns (fnmatch) whose widths stay. Each must match something."""
    vocabulary: Literal["whole", "trimmed", "auto"] = "whole"
    """`trimmed` removes tokens that do not occur in the training rows from the embeddings and the tokenizer (WordPiece
    only), except single characters and word pieces. `auto` trims if that is possible and costs no more than a quarter
    of the allowance; if it costs more, it keeps the most frequent quarter or half of the others, too."""
    channel_multiple: int | None = Field(None, ge=1, le=1024)
    """Widths are rounded to a multiple of this. By default the profile's."""
    max_share: float = Field(1.0, gt=0, le=1)
    """Maximum share that any single width may lose. At 1, whole residual branches may be removed, and layers that the
    next layer can do without."""
    teacher: str | None = None
    """A teacher for recovery training: a stage's name, a folder or a `pkg://` address."""
    labels_weigh: ClassVar[float] = 0.5
    hidden_weight: Annotated[float, Field(ge=0)] | Literal["auto"] = 0.0

    @model_validator(mode="after")
    def _one_target(self) -> PruneSpec:
        if sum(value is not None for value in (self.parameters, self.latency, self.latency_ms)) != 1:
            raise ValueError("must have exactly one of 'parameters', 'latency' and 'latency_ms'")
        if self.latency == "auto" and self.rounds != 1:
            raise ValueError("must not set 'rounds' if 'latency' is auto")
        return self if self.teacher else self.judged()


class DistillSpec(LessonSpec):
    """Learning from a teacher's logits and hidden states."""

    stage: Literal["distill"]
    name: str | None = None
    keep: Keep = "auto"
    teacher: str = "finetune"
    """A stage's name, a folder or a `pkg://` address. By default the fine-tuned original."""
    layers: tuple[int, ...] | int | None = None
    """Layers of the current model that the student keeps: their indices, or a number of evenly spaced ones."""
    mixed_epochs: float = Field(1.0, ge=1, le=100)
    """Number of times the epochs are trained if `mixup: auto` mixes rows. No mixture is seen twice, so that a student
    goes on learning for long (Beyer et al. 2021, arXiv 2106.05237, section 3.2)."""
    sequences: bool = False
    """Text generation and text to text: the student learns from answers generated by the teacher, instead of those in
    the rows (Kim and Rush 2016, arXiv 1606.07947)."""

    @model_validator(mode="after")
    def _mixed(self) -> DistillSpec:
        if self.mixed_epochs != 1 and self.mixup != "auto":
            raise ValueError("must not set 'mixed_epochs' unless mixup is auto: set 'epochs'")
        return self


class QuantizeSpec(Spec):
    """Post-training quantization of the ONNX model."""

    stage: Literal["quantize"]
    name: str | None = None
    keep: Keep = "auto"
    scheme: Literal["auto", "int8-dynamic", "int8-static", "int8-weights", "int4", "fp16"] = "auto"
    """`auto` measures the candidates that the profile allows and keeps the fastest within the accuracy allowance. If
    any that are no slower than before meet the budget's size limit, only those are considered."""
    backend: Literal["onnxruntime", "neural-compressor"] = "onnxruntime"
    """Library that quantizes `int8-static`."""
    types: Literal["auto", "u8s8", "s8s8", "u8u8", "u16u8"] = "auto"
    """Types of activations and weights in `int8-static` by ONNX Runtime: unsigned (`u`) or signed (`s`), 8 or 16 bits.
    `auto` takes those that the profile's provider has kernels for; on a provider without, others can be slower than
    fp32. With `u8u8` and `u16u8`, every operator is quantized, not only those with weights, and each weight has one
    scale."""
    calibration_rows: int = Field(128, ge=1)
    """Number of training rows that set the activation ranges of `int8-static`."""
    calibration: Literal["minmax", "entropy", "percentile"] = "minmax"
    """How ONNX Runtime's calibrator sets a range."""
    per_channel: bool = True
    """Whether each output channel has its own weight scale."""
    table_bits: Literal[4, 8] = 8
    """Bits of embedding tables in `int8-dynamic`. With 4 they are half as large and have a scale for each 32 values."""
    algorithm: Literal["rtn", "hqq"] = "rtn"
    """How `int4` rounds the weights of matrix products: to nearest, or by half-quadratic optimisation."""
    smooth: float = Field(0.0, ge=0, le=1)
    """SmoothQuant: how far the scale of activations moves into the weights that read them, so that they round better to
    8 bits (Xiao et al. 2022, arXiv 2211.10438, who use 0.5). 0 is off. With `scheme: auto`, 0.5 is tried if int8 loses
    more than the allowance."""
    exclude: tuple[str, ...] = ()
    """Node-name patterns (fnmatch) that stay in float. Each must match something."""

    @model_validator(mode="after")
    def _no_idle_options(self) -> QuantizeSpec:
        idle = {
            "backend": self.scheme != "int8-static",
            "types": self.scheme != "int8-static" or self.backend == "neural-compressor",
            "calibration": self.scheme not in ("int8-static", "auto") or self.backend == "neural-compressor",
            "calibration_rows": self.scheme not in ("int8-static", "auto") and not self.smooth,
            "table_bits": self.scheme != "int8-dynamic",
            "smooth": self.scheme not in ("int8-dynamic", "int8-static") or self.backend == "neural-compressor",
            "algorithm": self.scheme != "int4",
            "per_channel": self.scheme in ("int4", "fp16"),
        }
        for name, unused in idle.items():
            if unused and getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"must not set '{name}', which {self.scheme} by {self.backend} does not use")
        if self.types in ("u8u8", "u16u8") and not self.per_channel:
            raise ValueError(f"must not set 'per_channel', which {self.types} does not use")
        return self


class OptimizeSpec(Spec):
    """Rewrites of the ONNX graph. Each is measured and kept only if it pays."""

    stage: Literal["optimize"]
    name: str | None = None
    keep: Keep = "auto"
    precision: Precision = "fp32"
    """Precision in which rewrites are timed, whatever the stage's output: a rewrite that saves little in fp32 may save
    much in int8. `auto` is int8 if the graph was measured to be faster in int8 (static if it has convolutions, else
    dynamic), else fp32."""
    tolerance: float = Field(1e-3, gt=0)
    """Maximum absolute difference of the logits from those of the original graph."""


class ExportSpec(Spec):
    """Conversion to ONNX, checked against torch on real rows."""

    stage: Literal["export"]
    name: str | None = None
    opset: int | None = Field(None, ge=17, le=23)
    """ONNX operator set. By default the profile's."""
    tolerance: float = Field(1e-3, gt=0)
    """Maximum absolute difference of the logits from torch's."""


class BenchmarkSpec(Spec):
    """Measures the latency of all rows of the table, interleaved. Values left out come from the profile."""

    stage: Literal["benchmark"]
    name: str | None = None
    samples: int | None = Field(None, ge=30)
    """Minimum number of timed inferences per model."""
    seconds: float | None = Field(None, gt=0)
    """Minimum time spent on each model."""


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
