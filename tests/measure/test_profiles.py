"""The profiles that are shipped."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from edgesft.measure.fingerprint import differences
from edgesft.measure.providers import PROVIDERS
from edgesft.spec.profile import ProfileSpec

FILES = sorted((Path(__file__).parents[2] / "profiles").glob("*.yaml"))
NAMES = [file.stem for file in FILES]

HERE = {"architecture": "x86_64", "system": "Linux", "model": "any", "board": None, "cores": 2}
DEVICES = {
    "raspberry-pi-5": {"architecture": "aarch64", "board": "Raspberry Pi 5 Model B Rev 1.0", "cores": 4},
    "jetson-orin-nano": {"architecture": "aarch64", "board": "NVIDIA Jetson Orin Nano Developer Kit", "cores": 6},
    "snapdragon-npu": {"architecture": "aarch64", "system": "Android", "cores": 8},
    "pixel": {"architecture": "aarch64", "system": "Android", "cores": 8},
    "iphone": {"architecture": "arm64", "system": "iOS", "cores": 6},
}


def read(name: str) -> ProfileSpec:
    return ProfileSpec.model_validate(yaml.safe_load(FILES[NAMES.index(name)].read_text("utf-8")))


def test_all_are_there() -> None:
    assert {*DEVICES, "x86-1-thread", "x86-2-threads", "ci", "desktop-gpu"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_each_follows_the_schema(name: str) -> None:
    profile = read(name)
    assert profile.name == name
    assert FILES[NAMES.index(name)].read_text("utf-8").startswith(f"# edgesft run recipe.yaml profile={name}\n")
    assert {provider.name for provider in profile.providers} <= set(PROVIDERS)
    assert profile.assumed, "what is not the vendor's figure is said to be assumed"
    assert profile.measure.samples >= 299, "enough to bound p99"


@pytest.mark.parametrize("name", ["x86-1-thread", "x86-2-threads", "ci"])
def test_profiles_of_this_machine_fit_any_of_their_kind(name: str) -> None:
    profile = read(name)
    assert differences(profile.machine, HERE) == []
    assert differences(profile.machine, {**HERE, "architecture": "aarch64"})
    assert profile.threads <= (profile.machine.cores or 1)


@pytest.mark.parametrize("name", DEVICES)
def test_profiles_of_a_device_fit_only_it(name: str) -> None:
    profile = read(name)
    assert differences(profile.machine, {**HERE, **DEVICES[name]}) == []
    assert differences(profile.machine, HERE)
