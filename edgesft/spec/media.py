"""Preprocessing of pictures and sounds, postprocessing of boxes, and settings of speech.

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
    """Preprocessing of a picture. The steps are done in the order of the keys."""

    colour: Literal["RGB", "BGR", "L"] = "RGB"
    """Order of the channels that the model is fed."""
    resize: Side | Pair | None = None
    """[height, width] to stretch to, or the length of the shorter side."""
    resample: Resample = "bilinear"
    """Pillow's filter for resizing."""
    crop: Pair | None = None
    """[height, width] of the centre crop."""
    scale: float | None = 1 / 255
    """Factor that the pixels, 0 to 255, are multiplied by."""
    mean: Numbers | None = None
    """Subtracted after scaling: one number, or one for each channel."""
    std: Numbers | None = None
    """Divisor applied after the mean is subtracted: one number, or one for each channel."""


class BoxesSpec(Spec):
    """How the outputs of a detector become boxes."""

    iou: float = Field(0.6, gt=0, le=1)
    """If two boxes of the same class overlap by more than this, only the one with the higher score is kept; 1 keeps
    both. Detectors with a "no object" class, such as DETR and YOLOS, predict each object once, so all of their boxes
    are kept."""
    most: int = Field(100, ge=1, le=1000)
    """Maximum boxes per picture, by score; COCO's metric uses 100."""
    suppression: Literal["beside", "graph"] = "beside"
    """`graph`: the exported graph removes overlapping boxes itself, with ONNX's NonMaxSuppression; `beside`: code on
    the device does."""


class AudioSpec(Spec):
    """Preprocessing of a sound, in the order in which it is done."""

    rate: int = Field(16000, ge=1000, le=192_000)
    """Samples per second. Sounds at other rates are resampled; several channels are averaged."""
    seconds: float = Field(1.0, gt=0, le=60)
    """Length that the model reads. Shorter sounds are padded with silence."""
    window: Literal["start", "centre"] = "start"
    """Which part of a longer sound is read, and where a shorter one is placed."""
    features: Literal["mel", "fbank", "none"] = "mel"
    """`mel`: log power in mel bands. `fbank`: Kaldi's variant, with mean subtraction, pre-emphasis and another window,
    for audio spectrogram transformers; only the model's file can compute it (`in_graph: matmul`). `none`: the samples
    themselves."""
    frame: float = Field(0.032, gt=0, le=1)
    """Seconds of sound that each spectrum covers."""
    hop: float = Field(0.016, gt=0, le=1)
    """Seconds from one spectrum to the next."""
    mels: int = Field(40, ge=2, le=512)
    """Number of mel bands."""
    low: float = Field(20.0, ge=0)
    """Lower edge of the lowest band, in Hz."""
    high: float | None = Field(None, gt=0)
    """Upper edge of the highest band, in Hz. By default half of the rate."""
    floor: float = Field(1e-6, gt=0)
    """Minimum power of a band, where full scale is 1."""
    coefficients: int | None = Field(None, ge=1, le=512)
    """Uses this many cepstral coefficients instead of the bands: the lowest of a cosine transform over the bands."""
    normalise: bool = True
    """Normalises each band, or the samples, to mean 0 and deviation 1 within the window, so that loudness does not
    matter. Steady sounds, such as those of machines, are told by how loud their bands are: false keeps that."""
    frames: int | None = Field(None, ge=1, le=8192)
    """`fbank` only: number of frames that the model reads. More are cut. Fewer, counted up to the last non-zero sample,
    are padded with zeros before `mean` is subtracted. By default as many as fit into `seconds`."""
    mean: float = 0.0
    """`fbank` only: subtracted from the features."""
    std: float = Field(1.0, gt=0)
    """`fbank` only: divisor applied after the mean is subtracted; twice what ASTFeatureExtractor calls std."""
    in_graph: Literal["none", "stft", "matmul"] = "none"
    """Whether the model's file computes the features from samples, so that the device need not. `stft` uses the STFT
    operator, which adds almost nothing to the file. `matmul` uses matrix products, which are faster and work on every
    provider, but add 8 bytes to the file for each sample of a frame and each point of its spectrum."""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        half = self.rate / 2
        if (self.high or half) > half or self.low >= (self.high or half):
            raise ValueError(f"low and high must rise from 0 to {half:g} Hz, half of the rate")
        if self.frame > self.seconds:
            raise ValueError("frame must be at most seconds")
        if self.in_graph != "none" and self.features == "none":
            raise ValueError("in_graph must be none if features is none")
        if (self.coefficients or 0) > self.mels:
            raise ValueError("coefficients must be at most mels")
        scaled = (self.frames, self.mean, self.std) != (None, 0.0, 1.0)
        if self.features == "fbank" and self.in_graph != "matmul":
            raise ValueError("in_graph must be matmul if features is fbank: devices cannot compute it otherwise")
        if self.features != "fbank" and scaled:
            raise ValueError("frames, mean and std must be left out unless features is fbank")
        if self.normalise and scaled:
            raise ValueError("normalise must be false if frames, mean or std are given")
        return self


class SpeechSpec(Spec):
    """How texts are read in text-to-speech, and which features of the sound are predicted."""

    units: Literal["characters", "words"] = "characters"
    """What a text is split into: characters, or words separated by blanks, such as phonemes."""
    lower: bool = True
    """Whether texts are converted to lower case."""
    unseen: Literal["refuse", "skip"] = "refuse"
    """What to do with units that occur in no training row: refuse the text, or skip and count them."""
    longest: int = Field(1000, ge=1, le=10_000)
    """Maximum units of a text. Longer texts are refused; speak them sentence by sentence."""
    rate: int = Field(16000, ge=1000, le=192_000)
    """Samples per second. Sounds at other rates are resampled; several channels are averaged."""
    frame: float = Field(0.05, gt=0, le=1)
    """Seconds of sound that each spectrum covers."""
    hop: float = Field(0.0125, gt=0, le=1)
    """Seconds from one spectrum to the next: at most a quarter of a frame, or no sound can be made from them."""
    mels: int = Field(80, ge=2, le=512)
    """Number of mel bands. The log power of each is predicted."""
    low: float = Field(20.0, ge=0)
    """Lower edge of the lowest band, in Hz."""
    high: float | None = Field(None, gt=0)
    """Upper edge of the highest band, in Hz. By default half of the rate."""
    floor: float = Field(1e-4, gt=0)
    """Minimum power of a band, where full scale is 1. Quieter parts need not be predicted."""
    iterations: int = Field(32, ge=1, le=1000)
    """Iterations of Griffin-Lim, which finds a sound with the predicted bands. More take longer and sound better."""

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
    """How streaming sound is cut into frames for the model, and how the answers are put together again."""

    rate: int = Field(16000, ge=1000, le=192_000)
    """Samples per second. Sounds at other rates are resampled; several channels are averaged."""
    window: int = Field(512, ge=2, le=65536)
    """Samples per frame."""
    hop: int = Field(256, ge=1, le=65536)
    """Samples from one frame to the next. The model runs once per hop."""
    taper: Literal["sqrt-hann", "none"] = "sqrt-hann"
    """Window function that a frame is multiplied by, both before and after the model."""
    features: Layout = "spectrum"
    """What the model reads of a frame: the real and imaginary parts of its spectrum, or its samples."""
    answers: Layout | None = None
    """What the model returns for a frame. By default the same as `features`."""
    seconds: float = Field(4.0, gt=0, le=60)
    """Length of the pieces that training cuts from longer sounds, drawn anew each time."""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.hop > self.window:
            raise ValueError("hop must be at most window, or samples would be left out")
        if "spectrum" in (self.features, self.answers) and self.window % 2:
            raise ValueError("window must be even for a spectrum")
        return self
