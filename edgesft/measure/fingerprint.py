"""What this machine is, as far as it bears on latency, and where it differs from what a profile means."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from edgesft.spec.profile import MachineSpec

INSTRUCTIONS = (
    *("avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512_vnni", "avx_vnni", "avx_vnni_int8"),
    *("avx512_bf16", "avx512_fp16", "amx_tile", "amx_int8", "amx_bf16"),
    *("asimd", "asimdhp", "asimddp", "i8mm", "bf16", "sve", "sve2"),
)
"""Instruction sets that decide how fast a model runs, as Linux names them in /proc/cpuinfo."""

RUNTIMES = (
    *("onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino", "onnxruntime-webgpu"),
    *("onnxruntime-directml", "onnxruntime-qnn", "onnxruntime-silicon"),
)
"""Distributions that install the onnxruntime module."""

ARCHITECTURES = {"AMD64": "x86_64", "amd64": "x86_64", "arm64": "aarch64"}
"""Other systems' names of an architecture → Linux's."""


def machine(root: Path = Path("/")) -> dict[str, Any]:
    """JSON values that identify this machine; None where the system does not tell.

    Args:
        root: Where the system's `proc` and `sys` lie.
    """
    facts = _cpuinfo(root)
    flags = set((facts.get("flags") or facts.get("Features") or "").split())
    return {
        "architecture": platform.machine(),
        "system": platform.system(),
        "model": facts.get("model name") or facts.get("Model") or platform.processor() or None,
        "board": _text(root / "proc/device-tree/model") or _text(root / "sys/class/dmi/id/product_name"),
        "cores": _cores(),
        "instructions": [name for name in INSTRUCTIONS if name in flags],
        "governor": _text(root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "memory_bytes": _memory_bytes(root),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "onnxruntime": _runtime(),
    }


def differences(spec: MachineSpec, here: Mapping[str, Any]) -> list[str]:
    """Each field in which this machine is not the one that a profile means; empty where it fits.

    Args:
        spec: What the profile says; fields left out fit anything.
        here: What `machine` found.
    """
    found = []
    if spec.architecture and _plain(spec.architecture) != _plain(str(here.get("architecture"))):
        found.append(f"architecture: the profile means {spec.architecture}, this machine is {here.get('architecture')}")
    if spec.system and spec.system != here.get("system"):
        found.append(f"system: the profile means {spec.system}, this machine runs {here.get('system')}")
    names = [str(name) for name in (here.get("model"), here.get("board")) if name]
    if spec.model and not any(spec.model.lower() in name.lower() for name in names):
        found.append(f"model: the profile means {spec.model}, this machine is {' on '.join(names) or 'unknown'}")
    if spec.cores and spec.cores > (here.get("cores") or 0):
        found.append(f"cores: the profile means at least {spec.cores}, this process may use {here.get('cores')}")
    return found


def _plain(architecture: str) -> str:
    return ARCHITECTURES.get(architecture, architecture)


def _text(path: Path) -> str | None:
    try:
        # Device-tree strings end in a zero byte.
        return path.read_text("utf-8", errors="replace").strip("\0\n ") or None
    except OSError:
        return None


def _cpuinfo(root: Path) -> dict[str, str]:
    facts: dict[str, str] = {}
    for line in (_text(root / "proc/cpuinfo") or "").splitlines():
        name, colon, value = line.partition(":")
        if colon:
            facts.setdefault(name.strip(), value.strip())
    return facts


def _memory_bytes(root: Path) -> int | None:
    for line in (_text(root / "proc/meminfo") or "").splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) * 1024
    return None


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _runtime() -> str | None:
    for name in RUNTIMES:
        try:
            return f"{name} {metadata.version(name)}"
        except metadata.PackageNotFoundError:
            continue
    return None
