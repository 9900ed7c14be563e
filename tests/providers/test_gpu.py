"""An NVIDIA GPU's own memory and captured graphs. Not run so far: no machine with a GPU was at hand."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from edgesft.measure.driver import Agent
from edgesft.measure.providers import PROVIDERS
from edgesft.spec.profile import ProviderSpec
from tests.measure.test_agent_memory import feeds, save_sum
from tests.providers.environments import device

pytestmark = pytest.mark.providers

GRAPHS = {"CUDA": "enable_cuda_graph", "Tensorrt": "trt_cuda_graph_enable"}


@pytest.fixture(params=GRAPHS)
def provider(request: pytest.FixtureRequest) -> str:
    """A provider that the GPU's environment has; the test is skipped where there is no GPU."""
    if not Path("/dev/nvidia0").exists():
        pytest.skip("no NVIDIA GPU is here")
    name = f"{request.param}ExecutionProvider"
    with device("gpu") as place, Agent(device=place) as agent:
        found = agent.info()["providers"]
    if name not in found:
        pytest.skip(f"{name} is not in this onnxruntime: {PROVIDERS[name].install}")
    return str(request.param)


@pytest.mark.parametrize("io", ["host", "device"])
@pytest.mark.parametrize("graph", ["0", "1"])
def test_memory_on_the_gpu(provider: str, io: str, graph: str, tmp_path: Path) -> None:
    """Answers are right whichever way inputs come and however often the graph was repeated before."""
    model = save_sum(tmp_path / "m.onnx", 1024)
    spec = ProviderSpec(name=f"{provider}ExecutionProvider", options={GRAPHS[provider]: graph})
    with device("gpu") as place, Agent(device=place) as agent:
        assert agent.load(model, [spec], 1, io=io).io == io
        agent.feedback({"s": "t"})
        for value in (1, 2):
            agent.request(feeds(1024, value))
        assert agent.first() > 0
        for number in range(3):
            assert len(agent.series("time", 20, [0, 1]).ns) == 20
            found = agent.run(feeds(1024, number))
            np.testing.assert_array_equal(found["y"], np.full(1024, number, np.float32))
        assert agent.series("flight", 8, [0, 1], streams=2).detail["how"] == "sessions"


def test_the_clock_stops_when_the_gpu_has_stopped(provider: str, tmp_path: Path) -> None:
    """Of a product that takes the GPU a while, the time counts whole: it is most of what the caller waits."""
    from tests.measure.models import save_product

    model, count = save_product(tmp_path / "m.onnx", width=4096, repeats=8), 20
    with device("gpu") as place, Agent(device=place) as agent:
        agent.load(model, [ProviderSpec(name=f"{provider}ExecutionProvider")], 1, io="device")
        agent.request({"x": np.ones((4096, 4096), np.float32)})
        agent.first()
        began = time.perf_counter_ns()
        taken = agent.series("time", count, [0]).ns
        assert sum(taken) > 0.5 * (time.perf_counter_ns() - began)
