from __future__ import annotations

import pytest

from edgesft.errors import InputError, UnavailableError
from edgesft.measure import agent
from edgesft.measure.providers import PROVIDERS, available, require, resolve
from edgesft.spec.profile import ProviderSpec
from tests.measure.models import profile


def test_the_cpu_is_always_there() -> None:
    assert "CPUExecutionProvider" in available()
    require(profile())


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("CoreMLExecutionProvider", "on macOS"),
        ("NnapiExecutionProvider", "onnxruntime-android"),
        ("NoSuchProvider", "build"),
    ],
)
def test_a_missing_provider_says_what_to_install(name: str, words: str) -> None:
    asked = profile(providers=[ProviderSpec(name=name), ProviderSpec(name="CPUExecutionProvider")])
    if name in available():
        pytest.skip(f"{name} is here")
    with pytest.raises(
        UnavailableError, match=rf"(?s)'test' must be measured on {name}.*CPUExecution.*Try:.*{words}"
    ) as caught:
        require(asked)
    assert caught.value.exit_code == 4


def test_every_provider_of_the_runtime_is_known() -> None:
    import onnxruntime

    assert {*onnxruntime.get_all_providers(), *agent.PLUGINS} <= set(PROVIDERS)
    assert all(provider.install for provider in PROVIDERS.values())


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("cpu", "CPUExecutionProvider"),
        ("CUDA", "CUDAExecutionProvider"),
        ("dml", "DmlExecutionProvider"),
        ("TensorRT", "TensorrtExecutionProvider"),
        ("openvino", "OpenVINOExecutionProvider"),
        ("cpuexecutionprovider", "CPUExecutionProvider"),
        ("CoreMLExecutionProvider", "CoreMLExecutionProvider"),
    ],
)
def test_names_have_a_short_form(name: str, expected: str) -> None:
    assert resolve(name) == expected


def test_every_name_is_itself_and_has_a_short_form_of_its_own() -> None:
    for name, provider in PROVIDERS.items():
        assert resolve(name) == resolve(provider.short) == name


def test_unknown_names() -> None:
    with pytest.raises(InputError, match=r"(?s)got 'opnvino'.*Try: 'openvino'"):
        resolve("opnvino")
    with pytest.raises(InputError, match=r"(?s)got ''.*one of azure, cann, coreml, cpu"):
        resolve("")
