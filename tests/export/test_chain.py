"""Runs as the chain leaves them, packed and answered by kits: what a task says of itself is what every kit reads."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from edgesft import api
from edgesft.progress import Progress
from tests import tiny
from tests.export.script import installed, node
from tests.tasks import test_voice_activity
from tests.tasks.models import test_onnx_file

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """Of pictures, and of sound as it comes."""
    made = {}
    with pytest.MonkeyPatch.context() as patch:
        for name, recipe in (("pictures", test_onnx_file.recipe), ("sound", test_voice_activity.recipe)):
            folder = tmp_path_factory.mktemp(name)
            patch.setenv("EDGESFT_STORE", str(folder / "store"))
            api.run(recipe(folder), output=folder / "run", progress=Progress(quiet=True))
            made[name] = api.pack(folder / "run", output=folder / "bundle", variants=("model",)).path
    return made


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """What each is asked."""
    Image.fromarray(tiny.pictured(1)[0]["image"]).save(tmp_path / "picture.ppm")
    soundfile.write(tmp_path / "sound.wav", test_voice_activity.spoken(1)[0]["audio"], 4000, subtype="PCM_16")
    return {"pictures": tmp_path / "picture.ppm", "sound": tmp_path / "sound.wav"}


def asked(command: list[str], bundle: Path, file: Path, cwd: Path) -> dict[str, object]:
    done = subprocess.run([*command, str(bundle), "--file", str(file)], capture_output=True, text=True, cwd=cwd)
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout.splitlines()[0])
    return found


@pytest.mark.parametrize("name", ["pictures", "sound"])
def test_python(name: str, bundles: Mapping[str, Path], files: Mapping[str, Path]) -> None:
    said = asked([sys.executable, "-m", "kit"], bundles[name], files[name], ROOT / "export" / "python")
    assert said.get("label") in ("standing", "lying") or len(said["probabilities"]) > 40  # type: ignore[arg-type]


@pytest.mark.kits
@pytest.mark.parametrize("name", ["pictures", "sound"])
def test_node_answers_as_python_does(
    name: str, bundles: Mapping[str, Path], files: Mapping[str, Path], tmp_path: Path
) -> None:
    ours = asked([sys.executable, "-m", "kit"], bundles[name], files[name], ROOT / "export" / "python")
    theirs = asked([node(), str(installed("node", tmp_path) / "kit.mjs")], bundles[name], files[name], tmp_path)
    for key, value in ours.items():
        if isinstance(value, (float, list)):
            assert np.allclose(value, theirs[key], atol=1e-6), key
        else:
            assert value == theirs[key], key
