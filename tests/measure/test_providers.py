from __future__ import annotations

import pytest

from edgesft.errors import UnavailableError
from edgesft.measure.providers import available, require
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
