"""Settings of supervised training, shared by fine-tuning, recovery and distillation."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator

from edgesft.spec.base import Spec

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
"""Where a training may be watched → the package that it takes."""

UNKEYED = frozenset(("checkpoint_minutes", "report_to"))
"""Settings that change nothing of what is made."""

Share = Annotated[float, Field(ge=0, lt=1)]


class TrainingSpec(Spec):
    """What a training stage may set; a value left out comes from the recipe's finetune stage, then from DEFAULTS."""

    epochs: Annotated[float, Field(gt=0, le=1000)] | Literal["auto"] | None = None
    """Passes over the training rows; `auto` follows their number."""
    learning_rate: Annotated[float, Field(gt=0, le=1)] | Literal["auto"] | None = None
    """Peak learning rate of AdamW; `auto` is the task's usual one, in the finetune stage the best of several."""
    batch_size: int | None = Field(None, ge=1, le=65536)
    """Rows a step."""
    weight_decay: float | None = Field(None, ge=0, le=1)
    """Decoupled weight decay of AdamW."""
    warmup: float | None = Field(None, ge=0, lt=1)
    """Share of the steps over which the learning rate rises from 0."""
    schedule: Literal["linear", "cosine", "constant"] | None = None
    """Shape of the learning rate after warm-up."""
    layer_decay: float | None = Field(None, gt=0, le=1)
    """Each layer learns at this share of the rate of the one behind it; 1 is one rate for all."""
    unfreeze: Literal["all", "head", "gradual", "lora"] | None = None
    """What trains: everything; the head alone; one layer more at a time, from the head down, over half of the steps; or
    the head and low-rank adapters of all linear layers, which are then merged into the weights. Of the finetune stage
    alone: what recovers from compression trains whole."""
    lora_rank: int | None = Field(None, ge=1, le=1024)
    """Rank of the adapters."""
    lora_alpha: int | None = Field(None, ge=1, le=65536)
    """Adapters are scaled by this over their rank."""
    max_grad_norm: float | None = Field(None, gt=0)
    """Gradients are clipped to this L2 norm."""
    accumulation: int | None = Field(None, ge=1, le=65536)
    """Parts that a batch is computed in, one after another, for less memory; the step is the whole batch's."""
    average: float | None = Field(None, ge=0, lt=1)
    """Decay of a moving average of the weights, which is then what is evaluated and kept; 0 is none."""
    label_smoothing: float | None = Field(None, ge=0, lt=1)
    """Share of the target spread over all classes."""
    class_weights: Literal["none", "balanced"] | None = None
    """`balanced` weighs rare classes up, so that all weigh alike in the loss."""
    dropout: float | None = Field(None, ge=0, lt=1)
    """Share that the model's dropout layers drop in training; by default each drops its own."""
    l1: float | None = Field(None, ge=0)
    """Added to the loss for each unit of the weights' magnitude."""
    l2: float | None = Field(None, ge=0)
    """Added to the loss for each unit of the weights' square; `weight_decay` is the usual one."""
    sampling: float | None = Field(None, ge=0, le=1)
    """Several heads: rows of each are drawn in proportion to its number of rows to this power; 1 is every row once an
    epoch, 0 as many of each head."""
    packing: bool | None = None
    """Text generation: rows of a batch are put behind each other, so that less is padding; each sees itself alone."""
    negatives: int | None = Field(None, ge=0)
    """Recommendation: items, drawn anew for each row, that what came next is told from in training, each standing for
    many others; 0 is the whole catalogue, which is exact and slow where it is large."""
    token_dropout: float | None = Field(None, ge=0, lt=1)
    """Share of input tokens replaced by any at random in training (text tasks)."""
    token_substitution: Annotated[float, Field(ge=0, lt=1)] | Literal["auto"] | None = None
    """Share of input tokens replaced in training by one that the model reads alike (text tasks); for a student it makes
    new texts for its teacher to answer. `auto` is a fifth where that means something."""
    mixup: Annotated[float, Field(ge=0, le=0.5)] | Literal["auto"] | None = None
    """The largest share of another row that is mixed into each in training (arrays, pictures, sounds); a class is the
    larger part's. A student learns from what its teacher says of the mixture, and from nothing else unless
    `hard_weight` is given. For a student, `auto` is a half where the teacher knows the training rows by heart: of them
    it says no more than labels do."""
    flip: Annotated[float, Field(ge=0, le=1)] | Literal["auto"] | None = None
    """Share of rows that are mirrored along their last axis in training (arrays, pictures). For a student, `auto` is a
    half where the teacher's validation metric stands it within the allowance."""
    shift: tuple[Share, ...] | Literal["auto"] | None = None
    """Shares of the lengths of a row's last axes, up to which it is moved along them in training (arrays, pictures,
    sounds): `[0.1, 0.1]` moves pictures both ways, `[0.1, 0]` along the first of two axes. For a student, `auto` takes
    an eighth or a sixteenth of each axis, where the teacher's validation metric stands it within the allowance."""
    cutmix: Annotated[float, Field(ge=0, le=0.5)] | None = None
    """The largest share of a picture's area where another one's pixels are put in training; a class is the larger
    part's. A student learns of it as of `mixup`."""
    crop: Annotated[float, Field(ge=0, lt=1)] | None = None
    """The largest share of both sides of a picture that is cut away in training, what is left being stretched."""
    colour: Annotated[float, Field(ge=0, lt=1)] | None = None
    """How far brightness, contrast and saturation of pictures vary in training, as a share of what they are."""
    erasing: Annotated[float, Field(ge=0, le=1)] | None = None
    """Share of pictures that have a rectangle without content in training."""
    mosaic: Annotated[float, Field(ge=0, le=1)] | None = None
    """Share of pictures that are put together of parts of four in training, boxes with them (detection)."""
    turn: Annotated[float, Field(ge=0, le=1)] | None = None
    """Share of pictures that are turned upside down in training, for what has no upper side (detection)."""
    snr: tuple[float, ...] | None = None
    """Least and greatest ratio, in decibels, of a sound to the noise that is added to it in training: `[5, 30]`."""
    masking: Annotated[float, Field(ge=0, lt=1)] | None = None
    """The largest share of a sound's frames, and of its bands, that is hidden in training (SpecAugment)."""
    token_deletion: float | None = Field(None, ge=0, lt=1)
    """Share of input tokens that the model does not see in training (text tasks)."""
    token_swap: float | None = Field(None, ge=0, lt=1)
    """Share of input tokens that change places with a neighbour in training (text tasks)."""
    arithmetic: Literal["auto", "fp32", "bf16"] | None = None
    """Number format of training; `auto` takes bf16 where the CPU or GPU has matrix instructions for it."""
    quantization: Literal["none", "int8-dynamic", "int8-static", "auto"] | None = None
    """Rounds weights and what layers read in training as that scheme of quantization will (quantization-aware
    training). `int8-dynamic` has ranges that follow the values; of `int8-static` they are fixed and learned, and what
    quantizes takes them over. `auto` does so in a distillation where int8 was measured to be faster."""
    evaluations: int | None = Field(None, ge=1, le=1000)
    """How often, evenly spaced over the stage, the validation metric is taken to find the best checkpoint."""
    selection: Literal["best", "last"] | None = None
    """Which evaluation's weights are kept. The best one's metric is too good by chance, the more so the fewer the
    validation rows, and what is compared with it then seems to have lost; with a falling learning rate the last one is
    about as good, and what its metric says is true."""
    patience: int | None = Field(None, ge=1)
    """Evaluations without a better one after which the training ends; by default it runs its epochs."""
    checkpoint_minutes: float | None = Field(None, gt=0)
    """A checkpoint for resuming is written at least this often."""
    report_to: tuple[Literal["tensorboard", "mlflow", "wandb"], ...] | None = None
    """Where loss, learning rate and metrics also go: TensorBoard's files lie in the run's folder under `tensorboard`;
    MLflow and Weights & Biases read their own environment variables."""

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
                raise ValueError(f"must not set '{name}' to auto: no teacher says here what is harmless")
        return self

    def training(self) -> dict[str, object]:
        """The training fields that are set, by name."""
        return {name: value for name in TrainingSpec.model_fields if (value := getattr(self, name)) is not None}


class ResolvedTraining(Spec):
    """Training settings with nothing left open.

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
    """Whether int8 weights have 7 bits, as where products of bytes saturate: no setting, the machine's own."""
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
