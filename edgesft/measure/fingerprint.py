"""How the measuring machine differs from the one that the profile is for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgesft.measure.agent import machine
from edgesft.spec.profile import MachineSpec

__all__ = ["called", "counted", "differences", "machine"]

ARCHITECTURES = {"AMD64": "x86_64", "amd64": "x86_64", "arm64": "aarch64"}
"""Other systems' names of an architecture → Linux's."""


def differences(spec: MachineSpec, here: Mapping[str, Any]) -> list[str]:
    """Each field in which this machine is not the one that a profile means; empty where it fits.

    Args:
        spec: What the profile says; fields left out fit anything.
        here: What `machine` found.
    """
    found = []
    if spec.architecture and _plain(spec.architecture) != _plain(str(here.get("architecture"))):
        found.append(
            f"architecture: the profile is for {spec.architecture}, this machine is {here.get('architecture')}"
        )
    if spec.system and spec.system != here.get("system"):
        found.append(f"system: the profile is for {spec.system}, this machine runs {here.get('system')}")
    names = [str(name) for name in (here.get("model"), here.get("board")) if name]
    if spec.model and not any(spec.model.lower() in name.lower() for name in names):
        found.append(f"model: the profile is for {spec.model}, this machine is {' on '.join(names) or 'unknown'}")
    if spec.cores and spec.cores > (here.get("cores") or 0):
        found.append(f"cores: the profile needs at least {spec.cores}, this process may use {here.get('cores')}")
    return found


def called(here: Mapping[str, Any]) -> str:
    """What a message calls a machine: `Cortex-A76, 4 cores`; empty where it is not told what it is."""
    name, cores = here.get("model") or here.get("architecture") or "", here.get("cores")
    return f"{name}, {counted(cores, 'core', 'cores')}" if name and cores else str(name)


def counted(count: int | str, one: str, more: str) -> str:
    """`1 core`, `4 cores`."""
    return f"{count} {one if count == 1 else more}"


def _plain(architecture: str) -> str:
    return ARCHITECTURES.get(architecture, architecture)
