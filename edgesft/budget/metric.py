"""What a metric's values are: shares unless they are named here. Of every metric a higher value is better."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """How a metric is bounded, judged by default, and spelled.

    Attributes:
        unit: Of a value as people read it.
        difference: Of a difference of two.
        times: What a value is multiplied by for that.
        digits: Decimals that are shown.
        least: No value is lower.
        most: No value is higher.
        allowance: How far it may fall where a budget does not say.
    """

    unit: str
    difference: str
    times: float
    digits: int
    least: float
    most: float
    allowance: float

    def number(self, value: float) -> str:
        """`87.2` for 0.872."""
        return f"{value * self.times:.{self.digits}f}"

    def told(self, value: float) -> str:
        """`87.2 %`."""
        return f"{self.number(value)} {self.unit}"

    def signed(self, value: float) -> str:
        """`-0.6`; what rounds to nothing has no minus."""
        return f"{round(value * self.times, self.digits) + 0.0:+.{self.digits}f}"

    def change(self, value: float) -> str:
        """`-0.6 points`."""
        return f"{self.signed(value)} {self.difference}"


SHARE = Scale("%", "points", 100, 1, 0.0, 1.0, 0.01)
"""Of rows or of tokens. A point is what users of compression accept to lose."""

DECIBELS = Scale("dB", "dB", 1, 2, -math.inf, math.inf, 0.3)
"""Ratios of powers. 0.3 dB are 7 % of the power, a tenth of what people hear as a change of noise."""

NATS = Scale("nats", "nats", 1, 3, -math.inf, 0.0, 0.02)
"""Mean logarithms of probabilities: 0.02 below is a perplexity 2 % higher."""

GAIN = Scale("%", "points", 100, 2, 0.0, 1.0, 0.001)
"""Of the best there could be: of one item among thousands a few percent, of which a tenth of a point is some 2 %."""
APART = Scale("negative distance", "of the distance", 1, 2, -math.inf, 0.0, 0.0)
"""Distances, negative. Their size hangs on what they are measured by, so that there is no usual allowance."""
DISTORTION = Scale("dB", "dB", 1, 2, -math.inf, 0.0, 0.12)
"""Distances of spectra, negative. 0.12 dB are what half of the training data is worth to a synthesiser (Kominek et al.
2008, "Synthesizer voice quality of new languages calibrated with mean mel cepstral distortion")."""

SCALES = {
    "neg_mcd": DISTORTION,
    "si_sdr": DECIBELS,
    "si_sdr_gain": DECIBELS,
    "psnr": DECIBELS,
    "denoising_snr": DECIBELS,
    "frechet": APART,
    "log_likelihood": NATS,
    "ndcg10": GAIN,
}


def fall(before: float, after: float) -> float:
    """How far a metric fell; what is infinite or not a number is worse than any number."""
    if math.isfinite(before) and math.isfinite(after):
        return before - after
    return math.inf if math.isfinite(before) else -math.inf if math.isfinite(after) else 0.0


def impossible(key: str, metric: str, limit: float) -> str | None:
    """What a limit on a metric must be and is not; None where it can be met and missed.

    Args:
        key: `max_drop` or `min_metric`.
        metric: What is limited.
        limit: In the metric's own unit.
    """
    found = scale(metric)
    low, high = (0.0, found.most - found.least) if key == "max_drop" else (found.least, found.most)
    if low <= limit <= high:
        return None
    bounds = f"at least {low:g}" if high == math.inf else f"from {low:g} to {high:g}"
    return f"must be {bounds if low > -math.inf else f'at most {high:g}'}, got {limit:g}"


def scale(metric: str) -> Scale:
    """The scale of a metric; of one of several jobs (`noise.si_sdr`) that of its last part."""
    return SCALES.get(metric.rpartition(".")[2], SHARE)
