"""Ways to make a session: how many threads, and which of the runtime's options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from edgesft.spec.profile import Optimisation, ProfileSpec


@dataclass(frozen=True)
class Choice:
    """A way to make the session otherwise.

    Attributes:
        name: What a person calls it.
        threads: Intra-op threads, or None for as many as before.
        optimisation: Level, or None for the one before.
        entries: Entries of the session's configuration.
        several: Whether it bears on several threads alone.
        architectures: Where it has an effect; empty for everywhere.
    """

    name: str
    threads: int | None = None
    optimisation: Optimisation | None = None
    entries: Mapping[str, str] = field(default_factory=dict)
    several: bool = False
    architectures: tuple[str, ...] = ()

    def of(self, profile: ProfileSpec, architecture: str) -> ProfileSpec | None:
        """The profile with this choice; None where that changes nothing."""
        if (self.several and profile.threads == 1) or (self.architectures and architecture not in self.architectures):
            return None
        session = profile.session.having(self.entries)
        if self.optimisation:
            session = session.model_copy(update={"optimisation": self.optimisation})
        chosen = profile.model_copy(update={"threads": self.threads or profile.threads, "session": session})
        return None if chosen == profile else chosen


ARM = ("aarch64", "arm64")

OPTIONS = (
    Choice("threads that wait sleep", entries={"session.intra_op.allow_spinning": "0"}, several=True),
    Choice("work in smaller blocks", entries={"session.dynamic_block_base": "4"}, several=True),
    Choice("denormals are zero", entries={"session.set_denormal_as_zero": "1"}),
    Choice("weights stay as in the file", entries={"session.disable_prepacking": "1"}),
    Choice("GELU by tanh", entries={"optimization.enable_gelu_approximation": "1"}),
    Choice("4-bit products by table", entries={"mlas.use_lut_gemm": "1"}),
    Choice("bfloat16 products", entries={"mlas.enable_gemm_fastmath_arm64_bfloat16": "1"}, architectures=ARM),
    Choice("without KleidiAI", entries={"mlas.disable_kleidiai": "1"}, architectures=ARM),
    Choice("depthwise by sliding windows", entries={"mlas.nchwc_depthwise_sliding": "1"}),
    Choice("optimisation: all", optimisation="all"),
    Choice("optimisation: extended", optimisation="extended"),
    Choice("optimisation: basic", optimisation="basic"),
)
"""Besides threads, in the order in which they are tried. Those of ONNX Runtime 1.32 that can make one inference faster
(onnxruntime_session_options_config_keys.h)."""


def counts(most: int) -> list[Choice]:
    """Powers of two up to the most, and that."""
    counts = sorted({2**power for power in range(most.bit_length()) if 2**power <= most} | {most})
    return [Choice(f"{count} thread{'s' if count > 1 else ''}", threads=count) for count in counts]
