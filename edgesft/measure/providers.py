"""Which execution providers can be had here, and what to install for those that cannot."""

from __future__ import annotations

from pathlib import Path

from edgesft.errors import UnavailableError
from edgesft.measure.driver import Agent
from edgesft.spec.profile import ProfileSpec

INSTALL = {
    "CPUExecutionProvider": "pip install onnxruntime",
    "CUDAExecutionProvider": "pip install onnxruntime-gpu, on a machine with an NVIDIA GPU and its driver",
    "TensorrtExecutionProvider": "pip install onnxruntime-gpu and TensorRT; on a Jetson NVIDIA's wheel for its JetPack",
    "QNNExecutionProvider": "pip install onnxruntime-qnn, a plugin for the stock onnxruntime",
    "OpenVINOExecutionProvider": "pip install onnxruntime-openvino in an environment of its own",
    "WebGpuExecutionProvider": "pip install onnxruntime-webgpu in an environment of its own",
    "DmlExecutionProvider": "pip install onnxruntime-directml in an environment of its own, on Windows",
    "CoreMLExecutionProvider": "pip install onnxruntime on macOS, or run on the iPhone itself",
    "NnapiExecutionProvider": "onnxruntime-android on the phone itself; no Python build has it",
    "XnnpackExecutionProvider": "onnxruntime-android or onnxruntime-c on the phone itself, or a build of your own",
}
"""Provider → where it comes from."""


def available(python: Path | None = None) -> tuple[str, ...]:
    """Providers that the onnxruntime of this or another interpreter can be asked for; being listed is not yet starting.

    Raises:
        MeasureError: The interpreter has no onnxruntime.
    """
    with Agent(python=python) as agent:
        return tuple(agent.info()["providers"])


def require(profile: ProfileSpec, python: Path | None = None) -> None:
    """Checks that the profile's first provider, the one that is measured, can be asked for.

    Raises:
        UnavailableError: It cannot; says what to install.
        MeasureError: The interpreter has no onnxruntime.
    """
    asked = profile.providers[0].name
    found = available(python)
    if asked not in found:
        raise UnavailableError(
            f"profile '{profile.name}' must be measured on {asked}, and onnxruntime here has only {', '.join(found)}",
            INSTALL.get(asked, f"an onnxruntime build that has {asked}, spelled as ONNX Runtime spells it"),
        )
