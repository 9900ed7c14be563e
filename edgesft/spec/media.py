"""What a model reads of a picture or a sound, what becomes of boxes that it says, and how texts are spoken.

In a recipe, in the contract, and as options of a pipeline.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from edgesft.spec.base import Spec

Resample = Literal["nearest", "lanczos", "bilinear", "bicubic", "box", "hamming"]
"""Pillow's filters in the order of their numbers (`PIL.Image.Resampling`), which preprocessor files hold."""

Side = Annotated[int, Field(ge=1, le=16384)]
Pair = tuple[Side, Side]
Numbers = float | tuple[float, ...]


class ImageSpec(Spec):
    """What is read of a picture, in the order in which it is done."""

    colour: Literal["RGB", "BGR", "L"] = "RGB"
    """Channels as they are fed."""
    resize: Side | Pair | None = None
    """[height, width] to stretch to, or the length of the shorter side."""
    resample: Resample = "bilinear"
    """Pillow's filter."""
    crop: Pair | None = None
    """[height, width] of the centre that is kept."""
    scale: float | None = 1 / 255
    """Factor of the pixels, which are 0 to 255."""
    mean: Numbers | None = None
    """Taken off after scaling; one number, or one a channel."""
    std: Numbers | None = None
    """Divided by after that."""


class BoxesSpec(Spec):
    """How boxes are made of what a detector says."""

    iou: float = Field(0.6, gt=0, le=1)
    """Of two boxes of a class that overlap by more than this the surer one is left; 1 leaves both. Detectors with a
    score for nothing, such as DETR and YOLOS, say each object once, and all of their boxes are left."""
    most: int = Field(100, ge=1, le=1000)
    """Boxes of a picture, the surest; COCO's metric looks at 100."""
    suppression: Literal["beside", "graph"] = "beside"
    """Whether the exported graph suppresses boxes itself, by ONNX's NonMaxSuppression, or device code does."""


class AudioSpec(Spec):
    """What is read of a sound, in the order in which it is done."""

    rate: int = Field(16000, ge=1000, le=192_000)
    """Samples a second; sounds of another rate are converted, several channels averaged."""
    seconds: float = Field(1.0, gt=0, le=60)
    """How much is read; what is shorter is followed by silence."""
    window: Literal["start", "centre"] = "start"
    """What is read of a longer sound, and where a shorter one lies."""
    features: Literal["mel", "fbank", "none"] = "mel"
    """`mel`: logarithms of the power in bands that are spaced as one hears; `fbank`: the same as Kaldi has it, with
    means taken off, pre-emphasis and another window, for audio spectrogram transformers, which the model's file makes
    (`in_graph: matmul`); `none`: the samples themselves."""
    frame: float = Field(0.032, gt=0, le=1)
    """Seconds that a spectrum is taken of."""
    hop: float = Field(0.016, gt=0, le=1)
    """Seconds from one spectrum to the next."""
    mels: int = Field(40, ge=2, le=512)
    """Bands."""
    low: float = Field(20.0, ge=0)
    """Where the lowest band begins, in Hz."""
    high: float | None = Field(None, gt=0)
    """Where the highest band ends, in Hz; half of the rate where it is left out."""
    floor: float = Field(1e-6, gt=0)
    """Least power of a band, where full scale is 1."""
    coefficients: int | None = Field(None, ge=1, le=512)
    """Cepstral coefficients in place of bands: so many of the lowest of a cosine transform over the bands."""
    normalise: bool = True
    """Whether each band, or the samples, are given mean 0 and deviation 1 within the window: loudness says nothing."""
    frames: int | None = Field(None, ge=1, le=8192)
    """Of `fbank`: frames that the model reads; more are cut, and fewer, up to the last sample that is not 0, are
    followed by zeros, from which `mean` is taken off, too. As many as `seconds` holds where it is left out."""
    mean: float = 0.0
    """Of `fbank`: taken off."""
    std: float = Field(1.0, gt=0)
    """Of `fbank`: divided by after that; twice what ASTFeatureExtractor calls std."""
    in_graph: Literal["none", "stft", "matmul"] = "none"
    """Whether the model's file makes the features of samples itself, so that the device need not: by the operator
    STFT, which adds next to nothing to the file; or by products with matrices, faster, and known to every provider,
    of 8 bytes for each sample of a frame and each point of its spectrum."""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        half = self.rate / 2
        if (self.high or half) > half or self.low >= (self.high or half):
            raise ValueError(f"low and high must rise from 0 to {half:g} Hz, half of the rate")
        if self.frame > self.seconds:
            raise ValueError("frame must be at most seconds")
        if self.in_graph != "none" and self.features == "none":
            raise ValueError("in_graph must be none where there are no features")
        if (self.coefficients or 0) > self.mels:
            raise ValueError("coefficients must be at most mels")
        scaled = (self.frames, self.mean, self.std) != (None, 0.0, 1.0)
        if self.features == "fbank" and self.in_graph != "matmul":
            raise ValueError("in_graph must be matmul where features are fbank, which devices do not make otherwise")
        if self.features != "fbank" and scaled:
            raise ValueError("frames, mean and std must be left out unless features are fbank")
        if self.normalise and scaled:
            raise ValueError("normalise must be false where frames, mean or std are given")
        return self


class SpeechSpec(Spec):
    """How texts are read to be spoken, and what of the sound that says them is predicted."""

    units: Literal["characters", "words"] = "characters"
    """What a text is made of: its characters, or what blanks part, such as phonemes."""
    lower: bool = True
    """Whether capitals are read as small letters."""
    unseen: Literal["refuse", "skip"] = "refuse"
    """What becomes of a text with units that no training row has: it is refused, or they are left out and counted."""
    longest: int = Field(1000, ge=1, le=10_000)
    """Most units of a text; what is longer is refused, and said sentence by sentence."""
    rate: int = Field(16000, ge=1000, le=192_000)
    """Samples a second; sounds of another rate are converted, several channels averaged."""
    frame: float = Field(0.05, gt=0, le=1)
    """Seconds that a spectrum is taken of."""
    hop: float = Field(0.0125, gt=0, le=1)
    """Seconds from one spectrum to the next: at most a quarter of a frame, or no sound could be made of them."""
    mels: int = Field(80, ge=2, le=512)
    """Bands, as one hears; the logarithm of the power in each is predicted."""
    low: float = Field(20.0, ge=0)
    """Where the lowest band begins, in Hz."""
    high: float | None = Field(None, gt=0)
    """Where the highest band ends, in Hz; half of the rate where it is left out."""
    floor: float = Field(1e-4, gt=0)
    """Least power of a band, where full scale is 1: what is quieter need not be predicted."""
    iterations: int = Field(32, ge=1, le=1000)
    """Steps of the search for a sound with these bands (Griffin-Lim); more take longer and sound better."""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        half = self.rate / 2
        if (self.high or half) > half or self.low >= (self.high or half):
            raise ValueError(f"low and high must rise from 0 to {half:g} Hz, half of the rate")
        if 4 * round(self.hop * self.rate) > round(self.frame * self.rate):
            raise ValueError("hop must be at most a quarter of frame")
        return self


Layout = Literal["spectrum", "samples"]


class FramesSpec(Spec):
    """How sound that comes bit by bit is cut into frames for a model, and put together again of what it answers."""

    rate: int = Field(16000, ge=1000, le=192_000)
    """Samples a second; sounds of another rate are converted, several channels averaged."""
    window: int = Field(512, ge=2, le=65536)
    """Samples of a frame."""
    hop: int = Field(256, ge=1, le=65536)
    """Samples from one frame to the next: so often the model runs."""
    taper: Literal["sqrt-hann", "none"] = "sqrt-hann"
    """What a frame is multiplied by, before the model and after it."""
    features: Layout = "spectrum"
    """What the model gets of a frame: the real and imaginary parts of its spectrum, or its samples."""
    answers: Layout | None = None
    """What it gives of it; by default what it gets."""
    seconds: float = Field(4.0, gt=0, le=60)
    """How much of a longer sound training hears at once: a piece that is drawn anew each time."""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.hop > self.window:
            raise ValueError("hop must be at most window, or samples would be left out")
        if "spectrum" in (self.features, self.answers) and self.window % 2:
            raise ValueError("window must be even for a spectrum")
        return self
