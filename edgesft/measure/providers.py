"""Which execution providers there are, which can be had here, and what to install for those that cannot."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgesft.errors import InputError, UnavailableError
from edgesft.measure.driver import Agent
from edgesft.spec.problems import nearest
from edgesft.spec.profile import ProfileSpec

SUFFIX = "ExecutionProvider"


@dataclass(frozen=True)
class Provider:
    """An execution provider.

    Attributes:
        name: As ONNX Runtime spells it.
        install: Where it comes from.
        static_shapes: It takes no nodes with free axes (ONNX Runtime's documentation, "Making dynamic input shapes
            fixed", and that of QNN).
    """

    name: str
    install: str
    static_shapes: bool = False

    @property
    def short(self) -> str:
        """Its name on the command line, such as `cpu`."""
        return self.name.removesuffix(SUFFIX).lower()


BUILD = "a build of onnxruntime of your own"

PROVIDERS = {
    provider.name: provider
    for provider in (
        Provider("CPUExecutionProvider", "pip install onnxruntime"),
        Provider(
            "CUDAExecutionProvider", "pip install onnxruntime-gpu, on a machine with an NVIDIA GPU and its driver"
        ),
        Provider(
            "TensorrtExecutionProvider",
            "pip install onnxruntime-gpu and TensorRT; on a Jetson NVIDIA's wheel for its JetPack",
        ),
        Provider(
            "MIGraphXExecutionProvider", "pip install onnxruntime-migraphx, on a machine with an AMD GPU and ROCm"
        ),
        Provider("OpenVINOExecutionProvider", "pip install onnxruntime-openvino in an environment of its own"),
        Provider("DnnlExecutionProvider", f"{BUILD} with --use_dnnl"),
        Provider("VitisAIExecutionProvider", "AMD's Ryzen AI software, which brings an onnxruntime that has it"),
        Provider("QNNExecutionProvider", "pip install onnxruntime-qnn, a plugin for the stock onnxruntime", True),
        Provider("NnapiExecutionProvider", "onnxruntime-android on the phone itself; no Python build has it", True),
        Provider("VSINPUExecutionProvider", f"{BUILD} with --use_vsinpu, on a board with VeriSilicon's NPU"),
        Provider("JsExecutionProvider", "onnxruntime-web in a browser or Node.js"),
        Provider("WebNNExecutionProvider", "onnxruntime-web in a browser that has WebNN"),
        Provider("CoreMLExecutionProvider", "pip install onnxruntime on macOS, or run on the iPhone itself", True),
        Provider("DmlExecutionProvider", "pip install onnxruntime-directml in an environment of its own, on Windows"),
        Provider("RknpuExecutionProvider", f"{BUILD} with --use_rknpu, on a Rockchip board"),
        Provider("WebGpuExecutionProvider", "pip install onnxruntime-webgpu in an environment of its own"),
        Provider(
            "XnnpackExecutionProvider",
            "onnxruntime-android or onnxruntime-c on the phone itself, or a build of your own",
        ),
        Provider("CANNExecutionProvider", "pip install onnxruntime-cann, on a machine with Huawei's Ascend NPU"),
        Provider("AzureExecutionProvider", "pip install onnxruntime; it asks a remote endpoint"),
    )
}
"""Every provider that ONNX Runtime 1.32 knows (`onnxruntime.get_all_providers`), by its name."""


def resolve(name: str) -> str:
    """A provider's name as ONNX Runtime spells it, from that or a short form in any case: `cpu`, `Tensorrt`, `dml`.

    Raises:
        InputError: There is no such provider; near ones are named.
    """
    shorts = {provider.short: provider.name for provider in PROVIDERS.values()}
    found = shorts.get(name.lower().removesuffix(SUFFIX.lower()))
    if found is None:
        raise InputError(f"provider must be one that ONNX Runtime knows, got {name!r}", nearest(name.lower(), shorts))
    return found


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
        known = PROVIDERS.get(asked)
        raise UnavailableError(
            f"profile '{profile.name}' must be measured on {asked}, and onnxruntime here has only {', '.join(found)}",
            known.install if known else f"an onnxruntime build that has {asked}, spelled as ONNX Runtime spells it",
        )
