"""`edgesft pack` and `edgesft verify`: exit codes, what they print, and that verifying stays light."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from edgesft.cli.main import main
from tests.ship import runs
from tests.ship.conftest import Keys, bundle, keys, run, signed  # noqa: F401 - fixtures


def test_pack_and_verify(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:  # noqa: F811
    out = tmp_path / "b.zip"
    assert main(["pack", str(run), "--output", str(out), "--variant", "ort", "--format", "json", "--quiet"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [each["name"] for each in told["variants"]] == ["fp32", "fp32-ort"] and told["bundle"] == str(out)
    assert main(["verify", str(out), "--format", "json", "--provider", "cpu"]) == 0
    assert json.loads(capsys.readouterr().out)["checks"]["golden"] == "holds"
    assert main(["pack", str(run), "--output", str(out)]) == 2
    assert main(["pack", str(tmp_path)]) == 2
    assert main(["pack", str(run), "--output", str(tmp_path / "c"), "--certificate", "x"]) == 2


def test_a_raw_model(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:  # noqa: F811
    pack = ["pack", str(run), "--raw", "--variant", "model", "--quiet", "--output"]
    assert main([*pack, str(tmp_path / "a")]) == 0
    assert "text to label, score, scores, known: answers 15 of 15 rows (test)" in capsys.readouterr().out
    assert main([*pack, str(tmp_path / "b"), "--format", "json"]) == 0
    told = json.loads(capsys.readouterr().out)["raw"]
    assert told["proof"]["rows"]["same_feeds"] == 15 and told["variant"]["name"] == "raw"
    assert main(["verify", str(tmp_path / "a")]) == 0
    assert "raw        holds" in capsys.readouterr().out
    test_verifying_is_light(tmp_path / "a", ["--no-golden"], "")


def test_a_bundle_that_is_refused(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:  # noqa: F811
    broken = runs.copy(bundle, tmp_path / "b")
    (broken / "extra").touch()
    runs.flip(broken / "contract.json")
    assert main(["verify", str(broken)]) == 1
    told = capsys.readouterr().out
    assert "extra: must be a file of the manifest" in told and "contract.json: must have sha256" in told
    assert told.splitlines()[-1] == "words 3: refused"


def test_exit_codes_of_verify(signed: Path, keys: Keys, tmp_path: Path) -> None:  # noqa: F811
    light = ["verify", str(signed), "--no-golden"]
    assert main([*light, "--key", str(keys.public)]) == 0
    assert main([*light, "--key", str(keys.other_public)]) == 1
    theirs = runs.copy(signed, tmp_path / "theirs")
    assert main(["pack", str(theirs), "--sign", str(keys.other)]) == 0
    assert main(["verify", str(theirs), "--no-golden", "--key", str(keys.other_public)]) == 0
    runs.flip(theirs / "golden.json")
    assert main(["pack", str(theirs), "--sign", str(keys.private)]) == 1
    assert main([*light, "--at-least", "4"]) == 1
    assert main([*light, "--key", str(tmp_path / "none")]) == 2
    assert main([*light, "--key", str(keys.public), "--root", str(keys.public)]) == 2
    assert main(["verify", str(tmp_path / "none")]) == 2
    assert main(["verify", str(signed), "--provider", "abacus"]) == 2
    assert main(["verify", str(signed), "--provider", "cuda"]) == 4


@pytest.mark.parametrize("name", ["elsewhere", "elsewhere/b.zip"])
def test_signing_leaves_the_bundle_as_it_is_where_an_output_is_named(
    name: str,
    bundle: Path,  # noqa: F811
    keys: Keys,  # noqa: F811
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    plain, out = runs.copy(bundle, tmp_path / "plain"), tmp_path / name
    sign = ["pack", str(plain), "--sign", str(keys.private), "--output", str(out)]
    assert main([*sign, "--format", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == {"bundle": str(out), "name": "words", "version": 3, "signed": True}
    assert runs.contents(plain) == runs.contents(bundle)
    assert main(["verify", str(out), "--no-golden", "--key", str(keys.public)]) == 0
    assert main(sign) == 2 and "must not exist yet" in capsys.readouterr().err
    assert main([*sign, "--replace"]) == 0
    # An archive that is signed is unpacked where it is to be a folder.
    assert main(["pack", str(out), "--sign", str(keys.other), "--output", str(tmp_path / "again")]) == 0
    assert main(["verify", str(tmp_path / "again"), "--no-golden", "--key", str(keys.other_public)]) == 0


@pytest.mark.parametrize("words", [["--name", "x"], ["--version", "1"], ["--raw"], ["--min-runtime", "1.30"]])
def test_options_that_say_nothing_of_a_signature_are_refused(
    words: list[str],
    bundle: Path,  # noqa: F811
    keys: Keys,  # noqa: F811
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["pack", str(bundle), "--sign", str(keys.private), *words]) == 2
    assert f"{words[0]} must be given when a run is packed" in capsys.readouterr().err
    assert not (bundle / "signature.json").exists()


@pytest.mark.parametrize(("extra", "loaded"), [(["--no-golden"], ""), ([], "onnxruntime")])
def test_verifying_is_light(bundle: Path, extra: list[str], loaded: str) -> None:  # noqa: F811
    code = (
        "import sys; from edgesft.cli.main import main; main(sys.argv[1:]);"
        "print(*{'torch', 'transformers', 'onnx', 'onnxruntime', 'pydantic'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", code, "verify", str(bundle), *extra]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert set(done.stdout.splitlines()[-1].split()) - {"pydantic"} == set(loaded.split())
    assert loaded or done.stdout.splitlines()[-1] == ""
