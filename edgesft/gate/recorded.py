"""The recording that is checked instead of measuring here, and how it differs from what the check asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from edgesft.budget.verdict import unknown
from edgesft.errors import InputError
from edgesft.gate.document import GateLine
from edgesft.measure.bench.order import Order
from edgesft.measure.measurement import Measurement
from edgesft.measure.model.file import ModelFile
from edgesft.measure.recording import Recording, merged, recordings

PLACED = ("partitions", "off_provider", "placement_share")
"""Limits on where nodes run."""


def recorded(path: Path, file: ModelFile, order: Order) -> Recording:
    """The recording of this very file: of several the one that differs least from what is asked for.

    Args:
        path: Lines that an agent wrote.
        file: The model that is checked.
        order: Which provider, threads and scenario.

    Raises:
        InputError: There is none, or the file is no such file.
    """
    every = merged(recordings(path))
    if own := [each for each in every if each.model_sha256 == file.sha256]:
        scenario = order.profile.measure.scenario
        return min(own, key=lambda it: (len(unlike(order, it.measurement)), it.measurement.scenario != scenario))
    told = ", ".join(
        f"'{each.model_name}' (sha256 {each.model_sha256[:12] + '…' if each.model_sha256 else 'not told'})"
        for each in every
    )
    raise InputError(
        f"measurements '{path}' must be of '{file.path}' (sha256 {file.sha256[:12]}…), got those of {told}",
        "measure the file that is checked, or check the file that was measured",
    )


def unlike(order: Order, measured: Measurement) -> list[str]:
    """Each of provider, threads, io and session in which a recording is not what the check asks for."""
    asked = {"provider": order.providers[0].name, "threads": order.profile.threads, "io": order.profile.measure.io}
    found = [
        f"{name}: the check asks for {wanted}, the recording has {getattr(measured, name)}"
        for name, wanted in asked.items()
        if getattr(measured, name) != wanted
    ]
    if session := order.profile.session.told:
        told = ", ".join(f"{name}={value}" for name, value in session.items())
        found.append(f"session: the check asks for {told}, the recording does not tell its own")
    return found


def left_open(gate_line: GateLine, differences: Sequence[str]) -> GateLine:
    """The line, undecided where it is on time, memory or placement, and the recording is of something else."""
    line = gate_line.line
    on_placement = line.name.removeprefix("max_growth.") in PLACED
    if not differences or not (gate_line.kind == "timed" or on_placement):
        return gate_line
    reason = "; ".join([*differences, *([line.reason] if line.verdict == "inconclusive" and line.reason else [])])
    open_line = replace(line, verdict="inconclusive", reason=reason)
    return replace(gate_line, line=unknown(line.name, line.limit, reason) if on_placement else open_line, accepted=None)
