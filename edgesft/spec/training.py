"""Settings of supervised training, shared by fine-tuning, recovery and distillation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, field_validator

from edgesft.spec.base import Spec

if TYPE_CHECKING:
    from pydantic import GetJsonSchemaHandler
    from pydantic_core import CoreSchema

NOISE = (
    "token_dropout",
    "token_substitution",
    "token_deletion",
    "token_swap",
    "mixup",
    "cutmix",
    "flip",
    "shift",
    "crop",
    "colour",
    "erasing",
    "mosaic",
    "turn",
    "snr",
    "masking",
)
"""Settings that change training rows at random."""

REPORTERS = {"tensorboard": "tensorboard", "mlflow": "mlflow", "wandb": "wandb"}
"""Experiment tracker → the package that it needs."""

UNKEYED = frozenset(("checkpoint_minutes", "report_to"))
"""Settings that do not change the result."""

Share = Annotated[float, Field(ge=0, lt=1)]


class TrainingSpec(Spec):
    """Settings of a training stage. A value left out comes from the recipe's finetune stage, then from
    ResolvedTraining's defaults.
    """

    inherits: ClassVar[bool] = False
    """Whether values that are left out come from the recipe's finetune stage."""

    epochs: Annotated[float, Field(gt=0, le=1000)] | Literal["auto"] | None = None
    """Passes over the training rows; `auto` chooses by the number of rows."""
    learning_rate: Annotated[float, Field(gt=0, le=1)] | Literal["auto"] | None = None
    """Peak learning rate of AdamW. `auto` is the usual one for the task; in the finetune stage, the best of several."""
    batch_size: int | None = Field(None, ge=1, le=65536)
    """Rows per step."""
    weight_decay: float | None = Field(None, ge=0, le=1)
    """Decoupled weight decay of AdamW."""
    warmup: float | None = Field(None, ge=0, lt=1)
    """Share of the steps over which the learning rate rises from 0."""
    schedule: Literal["linear", "cosine", "constant"] | None = None
    """Shape of the learning rate after warm-up."""
    layer_decay: float | None = Field(None, gt=0, le=1)
    """Each layer learns at this share of the rate of the layer after it; 1 is the same rate for all."""
    unfreeze: Literal["all", "head", "gradual", "lora"] | None = None
    """What is trained. `all`: everything; `head`: only the head; `gradual`: one more layer at a time, from the head
    down, over half of the steps; `lora`: the head and low-rank adapters of all linear layers, which are then merged
    into the weights. For the finetune stage only: recovery after compression trains everything."""
    lora_rank: int | None = Field(None, ge=1, le=1024)
    """Rank of the LoRA adapters."""
    lora_alpha: int | None = Field(None, ge=1, le=65536)
    """LoRA adapters are scaled by this divided by their rank."""
    max_grad_norm: float | None = Field(None, gt=0)
    """Gradients are clipped to this L2 norm."""
    accumulation: int | None = Field(None, ge=1, le=65536)
    """Number of parts in which a batch is computed, one after another, to save memory. The step is still that of the
    whole batch."""
    average: float | None = Field(None, ge=0, lt=1)
    """Decay of a moving average of the weights. If set, the averaged weights are evaluated and kept; 0 is off."""
    label_smoothing: float | None = Field(None, ge=0, lt=1)
    """Share of the target that is spread over all classes."""
    class_weights: Literal["none", "balanced"] | None = None
    """`balanced` weighs rare classes up, so that every class has the same weight in the loss."""
    dropout: float | None = Field(None, ge=0, lt=1)
    """Dropout rate of the model's dropout layers in training. By default each layer's own."""
    l1: float | None = Field(None, ge=0)
    """L1 penalty: coefficient of the sum of the weights' magnitudes in the loss."""
    l2: float | None = Field(None, ge=0)
    """L2 penalty: coefficient of the sum of the weights' squares in the loss. `weight_decay` is more usual."""
    sampling: float | None = Field(None, ge=0, le=1)
    """Several heads: rows are drawn from each head in proportion to its number of rows to this power. 1 uses every row
    once per epoch; 0 draws equally many for each head."""
    packing: bool | None = None
    """Text generation: joins several rows into one sequence, so that there is less padding. Each row attends only to
    itself."""
    negatives: int | None = Field(None, ge=0)
    """Recommendation: number of random items that the next item is compared with in training, drawn anew for each row
    and weighted to stand for the whole catalogue. 0 uses the whole catalogue: exact, but slow if it is large."""
    token_dropout: float | None = Field(None, ge=0, lt=1)
    """Share of input tokens replaced by random ones in training (text tasks)."""
    token_substitution: Annotated[float, Field(ge=0, lt=1)] | Literal["auto"] | None = None
    """Share of input tokens replaced in training by tokens that the model treats alike (text tasks). For a student,
    these are tokens that the teacher treats alike, and it labels the new texts. `auto` is 0.2 where substitution makes
    sense."""
    mixup: Annotated[float, Field(ge=0, le=0.5)] | Literal["auto"] | None = None
    """Maximum share of another row that is mixed into each row in training (arrays, pictures, sounds). The label is
    that of the larger part. A student learns only from the teacher's answer to the mixture, unless `hard_weight` is
    given. For a student, `auto` is 0.5 if the teacher has memorised the training rows, so that its answers to them
    contain no more than the labels."""
    flip: Annotated[float, Field(ge=0, le=1)] | Literal["auto"] | None = None
    """Share of rows that are mirrored along their last axis in training (arrays, pictures). For a student, `auto` is
    0.5 if the teacher's validation metric tolerates it within the allowance."""
    shift: tuple[Share, ...] | Literal["auto"] | None = None
    """Maximum shift along each of a row's last axes in training, as a share of its length (arrays, pictures, sounds):
    `[0.1, 0.1]` moves pictures both ways, `[0.1, 0]` along the first of two axes. For a student, `auto` takes an eighth
    or a sixteenth of each axis, if the teacher's validation metric tolerates it within the allowance."""
    cutmix: Annotated[float, Field(ge=0, le=0.5)] | None = None
    """Maximum share of a picture's area that is replaced by another picture's pixels in training. The label is that of
    the larger part. A student learns from the teacher as with `mixup`."""
    crop: Annotated[float, Field(ge=0, lt=1)] | None = None
    """Maximum share of a picture's height and width that is cut away in training. The rest is stretched to the full
    size."""
    colour: Annotated[float, Field(ge=0, lt=1)] | None = None
    """How far the brightness, contrast and saturation of pictures vary in training, as a share."""
    erasing: Annotated[float, Field(ge=0, le=1)] | None = None
    """Share of pictures in which a random rectangle is blanked in training."""
    mosaic: Annotated[float, Field(ge=0, le=1)] | None = None
    """Share of pictures that are composed of parts of four pictures in training, with their boxes (detection)."""
    turn: Annotated[float, Field(ge=0, le=1)] | None = None
    """Share of pictures that are turned upside down in training, for objects that have no upper side (detection)."""
    snr: tuple[float, ...] | None = None
    """Range of the signal-to-noise ratio, in decibels, of noise added to sounds in training: `[5, 30]`."""
    masking: Annotated[float, Field(ge=0, lt=1)] | None = None
    """Maximum share of a sound's frames, and of its bands, that is masked in training (SpecAugment)."""
    token_deletion: float | None = Field(None, ge=0, lt=1)
    """Share of input tokens hidden from the model in training (text tasks)."""
    token_swap: float | None = Field(None, ge=0, lt=1)
    """Share of input tokens swapped with a neighbour in training (text tasks but question answering)."""
    arithmetic: Literal["auto", "fp32", "bf16"] | None = None
    """Number format of training. `auto` takes bf16 if the CPU or GPU has matrix instructions for it."""
    quantization: Literal["none", "int8-dynamic", "int8-static", "auto"] | None = None
    """Quantization-aware training: rounds weights and activations in training as this scheme will. With `int8-dynamic`,
    ranges follow the values. With `int8-static`, ranges are learned and fixed, and the quantize stage takes them over.
    `auto` applies it in a distillation if int8 was measured to be faster, and to cost the student more than a quarter
    of the allowance: rounding in training takes time that learning could have."""
    evaluations: int | None = Field(None, ge=1, le=1000)
    """Number of evaluations on the validation rows, evenly spaced over the stage, to find the best checkpoint."""
    selection: Literal["best", "last"] | None = None
    """Which evaluation's weights are kept. The metric of the best evaluation is too high by chance, more so with few
    validation rows, and stages compared with it then seem to lose accuracy. With a falling learning rate the last
    evaluation is about as good, and its metric is unbiased."""
    patience: int | None = Field(None, ge=1)
    """Number of evaluations without improvement after which training stops. By default it runs for all epochs."""
    checkpoint_minutes: float | None = Field(None, gt=0)
    """Maximum minutes between two checkpoints for resuming."""
    report_to: tuple[Literal["tensorboard", "mlflow", "wandb"], ...] | None = None
    """Experiment trackers that also receive loss, learning rate and metrics. TensorBoard's files are in the run's
    folder under `tensorboard`; MLflow and Weights & Biases read their own environment variables."""

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """The JSON schema, which says what a value that is left out stands for."""
        schema = super().__get_pydantic_json_schema__(core_schema, handler)
        fields = handler.resolve_ref_schema(schema)["properties"]
        usual = ResolvedTraining().model_dump(mode="json", exclude_none=True)
        for name in TrainingSpec.model_fields:
            # As `pipeline.plan.training` has it.
            if cls.inherits and name != "unfreeze":
                fields[name]["description"] += " If left out, the finetune stage's."
            elif name in usual:
                fields[name]["default"] = usual[name]
        return schema

    @field_validator("snr")
    @classmethod
    def _range(cls, value: tuple[float, ...] | None) -> tuple[float, ...] | None:
        if value and (len(value) != 2 or value[0] > value[1]):
            raise ValueError("must be two numbers, the least ratio and the greatest")
        return value

    def judged(self) -> Self:
        """Itself where no change of rows is left for a teacher to judge.

        Raises:
            ValueError: One is.
        """
        for name in ("flip", "shift", "mixup"):
            if getattr(self, name) == "auto":
                raise ValueError(f"must not set '{name}' to auto: it needs a teacher to tell what is harmless")
        return self

    def training(self) -> dict[str, object]:
        """The training fields that are set, by name."""
        return {name: value for name in TrainingSpec.model_fields if (value := getattr(self, name)) is not None}


class ResolvedTraining(Spec):
    """Training settings with no value left open.

    The defaults are those of the usual BERT fine-tuning recipe (Devlin et al. 2018, arXiv 1810.04805, appendix A.3:
    batch 32, 5e-5, 3 epochs, warm-up over 10 % of the steps, decay 0.01).
    """

    epochs: float = 3.0
    learning_rate: float = 5.0e-5
    batch_size: int = 32
    weight_decay: float = 0.01
    warmup: float = 0.1
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    layer_decay: float = 1.0
    unfreeze: Literal["all", "head", "gradual", "lora"] = "all"
    lora_rank: int = 8
    lora_alpha: int = 16
    max_grad_norm: float = 1.0
    accumulation: int = 1
    average: float = 0.0
    label_smoothing: float = 0.0
    class_weights: Literal["none", "balanced"] = "none"
    dropout: float | None = None
    l1: float = 0.0
    l2: float = 0.0
    sampling: float = 1.0
    packing: bool = False
    negatives: int = 0
    token_dropout: float = 0.0
    token_substitution: float = 0.0
    mixup: float | Literal["auto"] = 0.0
    flip: float | Literal["auto"] = 0.0
    cutmix: float = 0.0
    shift: tuple[float, ...] | Literal["auto"] = ()
    crop: float = 0.0
    colour: float = 0.0
    erasing: float = 0.0
    mosaic: float = 0.0
    turn: float = 0.0
    snr: tuple[float, ...] = ()
    masking: float = 0.0
    token_deletion: float = 0.0
    token_swap: float = 0.0
    arithmetic: Literal["auto", "fp32", "bf16"] = "auto"
    quantization: Literal["none", "int8-dynamic", "int8-static", "auto"] = "none"
    reduced: bool = Field(False, exclude=True)
    """Whether int8 weights have 7 bits, as on CPUs where byte products saturate. Set by the machine, not by the
    user."""
    evaluations: int = 3
    selection: Literal["best", "last"] = "best"
    patience: int | None = None
    checkpoint_minutes: float = 2.0
    report_to: tuple[Literal["tensorboard", "mlflow", "wandb"], ...] = ()

    @property
    def noisy(self) -> bool:
        """Whether training rows are changed at random."""
        return any(getattr(self, name) for name in NOISE)

    def without_noise(self) -> ResolvedTraining:
        """The same with the rows as they are."""
        return self.model_copy(update={name: getattr(ResolvedTraining(), name) for name in NOISE})
