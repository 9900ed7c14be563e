from __future__ import annotations

import pytest

from edgesft.measure.providers import PROVIDERS, takes_fixed, with_defaults, wrong_options
from edgesft.spec import load
from edgesft.spec.profile import ProviderSpec


def said(name: str, **options: str) -> str:
    spec = ProviderSpec(name=f"{name}ExecutionProvider", options=options)
    return "\n".join(str(problem) for problem in wrong_options(spec))


def test_what_is_right_has_no_problem() -> None:
    assert not said("QNN", backend_type="htp", soc_model="57", vtcm_mb="8")
    assert not said("OpenVINO", device_type="AUTO:GPU,CPU", num_streams="1")
    assert not said("Tensorrt", trt_fp16_enable="1", trt_engine_cache_path="somewhere")
    assert not said("CPU")


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("OpenVINO", {"num_of_thread": "1"}, "option 'num_of_thread' must be one of OpenVINO.*num_of_threads"),
        ("QNN", {"backend_type": "saver"}, "must be htp or gpu, got 'saver'"),
        ("QNN", {"enable_htp_fp16_precision": "yes"}, "must be 0 or 1, got 'yes'"),
        ("CUDA", {"arena_extend_strategy": "kNext"}, "kNextPowerOfTwo"),
        ("CoreML", {"ModelFormat": "mlprogram"}, "MLProgram"),
        ("WebGpu", {"preferredLayout": "nchw"}, "NCHW or NHWC"),
    ],
)
def test_names_and_values_that_a_runtime_ignores(name: str, options: dict[str, str], words: str) -> None:
    import re

    assert re.search(f"(?s){words}", said(name, **options))


def test_providers_whose_options_are_not_known_are_left_alone() -> None:
    assert not said("CANN", anything="goes") and not said("Mine", anything="goes")


def test_defaults_stand_behind_what_is_given() -> None:
    given = ProviderSpec(name="OpenVINOExecutionProvider", options={"device_type": "GPU"})
    assert with_defaults(given).options == {"device_type": "GPU"}
    assert with_defaults(ProviderSpec(name="QNNExecutionProvider")).options == {"backend_type": "htp"}
    assert with_defaults(ProviderSpec(name="Mine")).options == {}


@pytest.mark.parametrize("name", load.shipped("profiles"))
def test_every_profile_that_ships_has_right_options(name: str) -> None:
    assert not [problem for provider in load.profile(name).providers for problem in wrong_options(provider)]


def test_defaults_are_right_themselves() -> None:
    for provider in PROVIDERS.values():
        assert not wrong_options(ProviderSpec(name=provider.name, options=dict(provider.defaults)))


@pytest.mark.parametrize(
    ("name", "options", "fixed"),
    [
        ("CUDA", {}, False),
        ("CUDA", {"enable_cuda_graph": "0"}, False),
        ("CUDA", {"enable_cuda_graph": "True"}, True),
        ("Tensorrt", {"trt_cuda_graph_enable": "1"}, True),
        ("QNN", {}, True),
        ("Mine", {}, False),
    ],
)
def test_what_is_captured_as_a_graph_has_fixed_shapes(name: str, options: dict[str, str], fixed: bool) -> None:
    assert takes_fixed(ProviderSpec(name=f"{name}ExecutionProvider", options=options)) == fixed
