"""The reader in BUNDLE.md, executed as it stands there, in a process that has no edgesft."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from edgesft.ship import archive, manifest, names
from tests.ship import runs
from tests.ship.conftest import bundle, run  # noqa: F401 - fixtures

TEXT = (Path(__file__).parents[2] / "export" / "BUNDLE.md").read_text("utf-8")


@pytest.mark.parametrize("forms", ['("onnx",)', '("ort",)'])
def test_the_reader(bundle: Path, forms: str) -> None:  # noqa: F811
    code = re.search(r"```python\n(.*?)```", TEXT, re.DOTALL)[1]
    code = f"import sys; sys.modules['edgesft'] = None\n{code}\nprint(check(*load(sys.argv[1], forms={forms})))"
    done = subprocess.run([sys.executable, "-c", code, bundle], capture_output=True, text=True)
    assert done.stdout.strip() == "5", done.stderr


def test_the_reader_finds_what_is_changed(bundle: Path, tmp_path: Path) -> None:  # noqa: F811
    broken = runs.copy(bundle, tmp_path / "b")
    runs.flip(broken / "golden.json")
    code = re.search(r"```python\n(.*?)```", TEXT, re.DOTALL)[1] + "\nimport sys; load(sys.argv[1])"
    done = subprocess.run([sys.executable, "-c", code, broken], capture_output=True, text=True)
    assert done.returncode and "golden.json" in done.stderr


def test_what_it_says_is_what_holds() -> None:
    for said in (
        names.PART.pattern,
        str(archive.ALIGNED),
        f"{archive.PADDING_ID:#X}".replace("0X", "0x"),
        f"version needed {archive.NEEDED}",
        f"0x{archive.MADE_BY:04X}",
        f"0x{archive.MODE << 16:08X}",
        f"0x{archive.DATE:04X}",
        f"{archive.MOST_FILES:,} files",
        manifest.SCHEMA,
    ):
        assert said in TEXT, said
