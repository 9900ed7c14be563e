from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from edgesft.measure.fingerprint import differences, machine
from edgesft.spec.profile import MachineSpec

PI = {
    "architecture": "aarch64",
    "system": "Linux",
    "model": None,
    "board": "Raspberry Pi 5 Model B Rev 1.0",
    "cores": 4,
}


def root(tmp_path: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_an_x86_server(tmp_path: Path) -> None:
    found = machine(
        root(
            tmp_path,
            {
                "proc/cpuinfo": "processor\t: 0\nmodel name\t: Some Xeon\nflags\t\t: fpu avx2 avx512f amx_int8\n\n"
                "processor\t: 1\nmodel name\t: Other\n",
                "proc/meminfo": "MemTotal:        2048 kB\nMemFree: 1 kB\n",
                "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "performance\n",
            },
        )
    )
    assert (found["model"], found["memory_bytes"], found["governor"]) == ("Some Xeon", 2048 * 1024, "performance")
    assert found["instructions"] == ["avx2", "avx512f", "amx_int8"]
    assert found["cores"] >= 1 and found["python"] and found["onnxruntime"].startswith("onnxruntime")
    json.dumps(found)


def test_a_board(tmp_path: Path) -> None:
    files = {
        "proc/cpuinfo": "processor : 0\nFeatures : fp asimd asimddp i8mm\nModel : Raspberry Pi 5 Model B Rev 1.0\n",
        "proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\0",
    }
    found = machine(root(tmp_path, files))
    assert found["instructions"] == ["asimd", "asimddp", "i8mm"]
    assert found["board"] == "Raspberry Pi 5 Model B Rev 1.0"
    assert found["governor"] is None


def test_onnxruntime_is_not_imported() -> None:
    code = "import sys\nfrom edgesft.measure.fingerprint import machine\nmachine()\nprint('onnxruntime' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "False"


def test_each_difference_is_named() -> None:
    here = {"architecture": "x86_64", "system": "Linux", "model": "Some Xeon", "board": None, "cores": 2}
    spec = MachineSpec(architecture="aarch64", system="Android", model="Raspberry Pi 5", cores=4)
    assert differences(spec, here) == [
        "architecture: the profile is for aarch64, this machine is x86_64",
        "system: the profile is for Android, this machine runs Linux",
        "model: the profile is for Raspberry Pi 5, this machine is Some Xeon",
        "cores: the profile needs at least 4, this process may use 2",
    ]


def test_what_fits_has_no_difference() -> None:
    assert differences(MachineSpec(), PI) == []
    assert differences(MachineSpec(architecture="arm64", system="Linux", model="raspberry pi 5", cores=4), PI) == []
    assert differences(MachineSpec(architecture="x86_64"), {**PI, "architecture": "AMD64"}) == []
    assert differences(MachineSpec(cores=1), machine()) == []
