from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesft.errors import InputError
from edgesft.measure import agent, answers
from edgesft.measure.measurement import Measurement
from edgesft.measure.recording import Recording, merged, recordings
from tests.measure.models import save_product, save_streaming

MS = 1_000_000
CPU, QNN = "CPUExecutionProvider", "QNNExecutionProvider"
PROTOCOL = Path(__file__).parents[2] / "export/PROTOCOL.md"

Lines = list[dict[str, Any]]


def lines(**changes: dict[str, Any]) -> Lines:
    """A right recording of two rounds, with other fields of its operations; what is ... is left out."""
    told: Lines = [
        {"op": "info", "protocol": 1, "runtime": "1.2.3", "machine": {"cores": 8}, "runtime_bytes": 9},
        {"op": "state", "load": None, "temperature_mc": 31200},
        {"op": "load", "load_ns": 40 * MS, "provider": QNN, "threads": 2, "placement": {QNN: 7, CPU: 1}},
        {"op": "model", "name": "m.onnx", "bytes": 860, "sha256": "AB" * 32},
        {"op": "first", "ns": 3 * MS},
        {"op": "warm_up", "samples": 18, "stable": True, "typical_ns": MS},
        {"op": "time", "ns": [MS, MS + 1], "energy_uj": 40},
        {"op": "time", "ns": [MS + 2, MS + 3], "energy_uj": 20},
        {"op": "memory", "peak_bytes": 600, "baseline_bytes": 300},
    ]
    changed = [each | changes.get(each["op"], {}) for each in told]
    return [{name: value for name, value in each.items() if value is not ...} for each in changed]


def without(*ops: str) -> Lines:
    return [each for each in lines() if each["op"] not in ops]


def text(told: Sequence[dict[str, Any]]) -> str:
    return "".join(json.dumps(each) + "\n" for each in told)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "device.jsonl"


def read(file: Path, told: Sequence[dict[str, Any]] | str | bytes) -> list[Recording]:
    data = told if isinstance(told, str | bytes) else text(told)
    file.write_bytes(data.encode("utf-8") if isinstance(data, str) else data)
    return recordings(file)


def refused(file: Path, told: Sequence[dict[str, Any]] | str | bytes) -> InputError:
    with pytest.raises(InputError) as caught:
        read(file, told)
    assert caught.value.exit_code == 2 and str(file) in str(caught.value)
    return caught.value


def test_what_ran_on_a_simulator_has_no_times(file: Path) -> None:
    (plain,) = read(file, lines())
    told = lines(load={"simulated": "the simulator of the HTP"})
    (found,) = merged(read(file, told * 2))
    measured = found.measurement
    assert measured.untimed and "the simulator of the HTP" in measured.untimed
    assert measured.rounds == measured.loads_ns == measured.firsts_ns == () and measured.peak_memory_bytes is None
    assert measured.placement == plain.measurement.placement and plain.measurement.simulated is None
    assert len(merged(read(file, [*told, *lines()]))) == 2, "its times are not taken with a device's"
    assert "simulated must be text" in str(refused(file, lines(load={"simulated": 1})))


# What an agent really writes ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A model and what the agent wrote of it by itself, in two processes one after another."""
    folder = tmp_path_factory.mktemp("real")
    model, rows, out = save_streaming(folder / "stream.onnx"), folder / "rows.npz", folder / "device.jsonl"
    np.savez(rows, **{f"{place}/{name}": np.ones((1, 4), np.float32) for place in range(3) for name in ("x", "h")})
    command = [sys.executable, agent.__file__, str(model), "--inputs", str(rows), "--state", "h=hn", "--threads", "2"]
    command += ["--samples", "40", "--rounds", "5", "--seconds", "0.01", "--warmup-seconds", "0.05"]
    with out.open("wb") as stream:
        for _ in range(2):
            subprocess.run(command, stdout=stream, check=True, timeout=60)
    return model, out


def test_a_real_recording_is_read_back(real: tuple[Path, Path]) -> None:
    model, out = real
    told = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    first, second = recordings(out)
    assert (first.line, second.line) == (1, 1 + len(told) // 2)
    assert (first.model_name, first.model_bytes) == ("stream.onnx", model.stat().st_size)
    assert first.model_sha256 == hashlib.sha256(model.read_bytes()).hexdigest()
    found = first.measurement
    half = told[: len(told) // 2]
    assert found.rounds == tuple(tuple(each["ns"]) for each in half if each["op"] == "time")
    assert len(found.rounds) == 5 and len(found.samples) >= 40
    assert (found.provider, found.threads, found.scenario) == (CPU, 2, "single-stream")
    assert (found.runtime, found.machine) == (half[0]["runtime"], agent.machine())
    assert (found.placement, found.partitions, found.left) == ({CPU: 2}, 1, {})
    assert found.states == {"h": "hn"}
    assert found.loads_ns == tuple(each["load_ns"] for each in half if each["op"] == "load")
    assert found.firsts_ns == tuple(each["ns"] for each in half if each["op"] == "first")
    assert found.peak_memory_bytes and found.baseline_memory_bytes
    assert found.peak_memory_bytes > found.baseline_memory_bytes > 10**6
    assert len(found.conditions) == 2 and set(found.conditions[0]) == set(agent.conditions())


def test_processes_of_one_model_are_taken_together(real: tuple[Path, Path]) -> None:
    first, second = recordings(real[1])
    (both,) = merged([first, second])
    a, b, found = first.measurement, second.measurement, both.measurement
    assert found.rounds == a.rounds + b.rounds
    assert found.loads_ns == a.loads_ns + b.loads_ns and found.firsts_ns == a.firsts_ns + b.firsts_ns
    assert found.warmup_samples == a.warmup_samples + b.warmup_samples
    assert found.warmup_stable == (a.warmup_stable and b.warmup_stable)
    assert found.conditions == a.conditions + b.conditions
    assert both.line == 1 and both.model_sha256 == first.model_sha256
    assert Measurement.from_json(json.loads(json.dumps(found.to_json()))) == found


def test_a_real_refusal_is_repeated(file: Path, tmp_path: Path) -> None:
    model = save_product(tmp_path / "m.onnx")
    np.savez(tmp_path / "rows.npz", x=np.zeros((1, 4), np.float32))
    command = [sys.executable, agent.__file__, str(model), "--inputs", str(tmp_path / "rows.npz"), "--provider", QNN]
    done = subprocess.run(command, capture_output=True, timeout=60)
    assert done.returncode == 1
    error = refused(file, done.stdout)
    assert f"{file}:3: the device must have measured the model, but it failed: provider {QNN} is not in" in str(error)


def test_the_protocols_example_is_readable(file: Path) -> None:
    (found,) = read(file, PROTOCOL.read_text("utf-8").split("```")[1].lstrip())
    assert (found.measurement.provider, found.measurement.threads) == (CPU, 4)
    assert found.measurement.samples == (905120, 911804, 908002)
    assert found.measurement.machine["model"] == "Pixel 9"


# What other applications write ----------------------------------------------------------------------------------------


def test_every_figure_stands_in_its_place(file: Path) -> None:
    (found,) = read(file, lines())
    measured = found.measurement
    assert (found.model_name, found.model_bytes, found.model_sha256, found.line) == ("m.onnx", 860, "ab" * 32, 1)
    assert measured.rounds == ((MS, MS + 1), (MS + 2, MS + 3))
    assert (measured.loads_ns, measured.firsts_ns) == ((40 * MS,), (3 * MS,))
    assert (measured.provider, measured.threads, measured.share) == (QNN, 2, 7 / 8)
    assert (measured.peak_memory_bytes, measured.baseline_memory_bytes) == (600, 300)
    assert (measured.warmup_samples, measured.warmup_stable, measured.energy_uj) == (18, True, 15)
    assert (measured.runtime, measured.runtime_bytes) == ("1.2.3", 9)
    empty = {"load": None, "frequency_khz": None, "throttles": None, "memory_free_bytes": None}
    assert measured.conditions == ({**empty, "temperature_mc": 31200},)
    assert found.suspicions == ()


def test_the_machine_has_every_field_and_keeps_its_own(file: Path) -> None:
    told = {"cores": 8, "model": None, "soc": "Tensor G4"}
    (found,) = read(file, lines(info={"machine": told}))
    assert found.measurement.machine == {**dict.fromkeys(agent.machine()), **told}


def test_what_a_device_does_not_tell_is_none(file: Path) -> None:
    told = lines(info={"runtime_bytes": None}, load={"placement": None, "threads": 1}, model={"sha256": None})
    told += [{"op": "dance"}, {"op": "time", "ns": [MS], "energy_uj": None}]
    (found,) = read(file, [each for each in told if each["op"] not in ("warm_up", "memory", "state")])
    measured = found.measurement
    assert found.model_sha256 is None
    assert (measured.placement, measured.partitions, measured.left, measured.share) == (None, None, None, None)
    assert (measured.warmup_samples, measured.warmup_stable) == (0, False)
    assert (measured.peak_memory_bytes, measured.baseline_memory_bytes, measured.runtime_bytes) == (None, None, None)
    assert (measured.conditions, measured.energy_uj) == ((), None), "one round does not tell its energy"


def test_the_provider_is_the_only_one_with_nodes(file: Path) -> None:
    (found,) = read(file, lines(load={"provider": ..., "placement": {QNN: 7, CPU: 0}}))
    assert found.measurement.provider == QNN


@pytest.mark.parametrize(
    ("op", "more", "scenario", "detail"),
    [
        (
            "paced",
            {"service_ns": [MS, MS], "interval_ns": 10 * MS},
            "paced",
            {"interval_ns": 10 * MS, "deadline_ns": 10 * MS, "missed": 1, "requests": 2, "service_p50_ns": MS},
        ),
        ("paced", {"service_ns": [MS, MS]}, "paced", {}),
        (
            "flight",
            {"wall_ns": 20 * MS, "how": "sessions", "streams": 3},
            "multi-stream",
            {"streams": 3, "how": "sessions", "throughput": 100.0, "throughputs": [100.0]},
        ),
        ("flight", {"wall_ns": 20 * MS, "how": "sessions"}, "multi-stream", {}),
    ],
)
def test_other_scenarios(file: Path, op: str, more: dict[str, Any], scenario: str, detail: dict[str, Any]) -> None:
    (found,) = read(file, [*without("time"), {"op": op, "ns": [MS, 12 * MS], "energy_uj": None, **more}])
    assert found.measurement.scenario == scenario
    assert found.measurement.detail == detail


def test_what_begins_an_answer_stands_beside_the_series(file: Path) -> None:
    begun = {"op": "opening", "ns": [7 * MS, 8 * MS]}
    (found,) = read(file, [*lines()[:6], begun, *lines()[6:7], begun, *lines()[7:]])
    assert found.openings == ((7 * MS, 8 * MS), (7 * MS, 8 * MS))
    assert found.measurement.samples == (MS, MS + 1, MS + 2, MS + 3)
    assert read(file, lines())[0].openings is None
    (simulated,) = read(file, [*lines(load={"simulated": "software"})[:6], begun, *lines()[6:]])
    assert simulated.openings == ()
    both = merged([found, found])
    assert len(both[0].openings or ()) == 4
    assert "jumped" in str(refused(file, [*lines()[:6], {"op": "opening", "ns": [0]}, *lines()[6:]]))
    assert "must stand before" in str(refused(file, [*lines()[:4], begun, *lines()[4:]]))


def test_byte_order_marks_windows_line_ends_and_blank_lines(file: Path) -> None:
    windows = ("\r\n\r\n" + text(lines()).replace("\n", "\r\n\r\n")).encode()
    found = read(file, b"\xef\xbb\xbf" + windows + b"\xef\xbb\xbf" + windows)
    plain = read(file, text(lines()) * 2)
    assert [each.measurement for each in found] == [each.measurement for each in plain]
    assert [each.line for each in found] == [3, 4 + 2 * len(lines()) + 1]
    assert read(file, text(lines()).rstrip("\n"))[0].measurement == plain[0].measurement


# Taken together -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"model": {"sha256": "cd" * 32}},
        {"load": {"threads": 4}},
        {"load": {"provider": CPU}},
        {"load": {"placement": {QNN: 6, CPU: 2}}},
        {"load": {"io": "device"}},
        {"info": {"runtime": "1.2.4"}},
        {"info": {"machine": {"cores": 4}}},
    ],
)
def test_what_differs_is_not_taken_together(file: Path, change: dict[str, Any]) -> None:
    found = merged(read(file, lines() + lines(**change) + lines()))
    assert [each.line for each in found] == [1, 1 + len(lines())]
    assert [len(each.measurement.rounds) for each in found] == [4, 2]


def test_where_inputs_lay_is_read(file: Path) -> None:
    found = [each.measurement.io for each in read(file, lines() + lines(load={"io": "device"}))]
    assert found == ["host", "device"]


def test_paces_that_differ_are_not_taken_together(file: Path) -> None:
    def paced(interval_ns: int) -> Lines:
        series = {"op": "paced", "ns": [5 * MS], "service_ns": [MS], "interval_ns": interval_ns}
        return [*without("time"), series]

    slow, fast = merged(read(file, paced(9 * MS) + paced(4 * MS) + paced(9 * MS)))
    assert (slow.measurement.detail["requests"], slow.measurement.detail["missed"]) == (2, 0)
    assert (fast.measurement.detail["requests"], fast.measurement.detail["missed"]) == (1, 1)


def test_merged_figures(file: Path) -> None:
    later = lines(
        load={"load_ns": 50 * MS},
        first={"ns": 4 * MS},
        warm_up={"samples": 2, "stable": False},
        time={"energy_uj": 60},
        memory={"peak_bytes": 900, "baseline_bytes": 200},
    )
    (found,) = (each.measurement for each in merged(read(file, lines() + later)))
    assert (found.loads_ns, found.firsts_ns) == ((40 * MS, 50 * MS), (3 * MS, 4 * MS))
    assert (found.warmup_samples, found.warmup_stable) == (20, False)
    assert (found.peak_memory_bytes, found.baseline_memory_bytes) == (900, 200)
    assert found.energy_uj == (40 + 20 + 60 + 60) // 8


# Suspicions -----------------------------------------------------------------------------------------------------------


def test_means_of_a_coarse_clock_decide_nothing(file: Path) -> None:
    (found,) = read(file, lines(time={"batch": 4}))
    assert found.suspicions == ("a sample is the mean of 4 inferences, for the device's clock is coarse",)
    assert read(file, lines(time={"batch": 1}))[0].suspicions == ()
    with pytest.raises(InputError, match="batch"):
        read(file, lines(time={"batch": 0}))


def test_a_sample_that_no_model_takes_is_suspicious(file: Path) -> None:
    slept = lines()
    slept[7]["ns"] = [MS] * 11 + [3600 * 1000 * MS]
    (found,) = read(file, slept)
    expected = "the device slept, or its clock jumped: line 8, sample 12 took 3600 s where the median is 1 ms"
    assert found.suspicions == (expected,)
    assert merged([found])[0].suspicions == (expected,)
    assert max(found.measurement.samples) == 3600 * 1000 * MS, "nothing is dropped"


@pytest.mark.parametrize("longest", [999 * MS, 1000 * MS])
def test_a_stall_below_a_second_is_not(file: Path, longest: int) -> None:
    assert read(file, lines(time={"ns": [MS // 2] * 9 + [longest]}))[0].suspicions == ()


def test_nor_is_one_of_a_slow_model(file: Path) -> None:
    assert read(file, lines(time={"ns": [20 * MS] * 9 + [20_000 * MS]}))[0].suspicions == ()


def test_many_suspicions_are_counted(file: Path) -> None:
    (found,) = read(file, lines(time={"ns": [MS] * 9 + [5000 * MS] * 4}))
    assert len(found.suspicions) == 4 and found.suspicions[-1] == "and 5 more such samples"


# What is refused ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "line", "words"),
    [
        ({"time": {"ns": [MS, 5, -120]}}, 7, r"ns must be above 0, got -120 ns in sample 3: the clock of the device"),
        ({"time": {"ns": [0, MS, 0]}}, 7, r"got 0 ns in sample 1: .* jumped or is not monotonic \(and 1 more samples"),
        ({"time": {"ns": [2**64 - 120]}}, 7, r"got 18446744073709551496 ns in sample 1: the clock"),
        ({"load": {"load_ns": -5}}, 3, r"load_ns must be above 0, got -5 ns: the clock of the device jumped"),
        ({"first": {"ns": 0}}, 5, r"ns must be above 0, got 0 ns: the clock"),
        ({"time": {"ns": [MS, None]}}, 7, r"ns must be integer nanoseconds, got null in sample 2"),
        ({"time": {"ns": [1.5]}}, 7, r"integer nanoseconds, got 1.5 in sample 1"),
        ({"time": {"ns": [True]}}, 7, r"integer nanoseconds, got true in sample 1"),
        ({"time": {"ns": []}}, 7, r"ns must hold at least one sample, got none"),
        ({"time": {"ns": MS}}, 7, r"ns must be a list of integer nanoseconds, got 1000000"),
        ({"time": {"ns": ...}}, 7, r"ns must be a list of integer nanoseconds, got nothing"),
        ({"time": {"energy_uj": "7"}}, 7, r'energy_uj must be an integer of at least 0, got "7"'),
        ({"load": {"load_ns": None}}, 3, r"load_ns must be integer nanoseconds, got null"),
        ({"load": {"threads": 0}}, 3, r"threads must be an integer of at least 1, got 0"),
        ({"load": {"placement": {QNN: 0}}}, 3, r"placement must be nodes by provider, or null"),
        ({"load": {"placement": 7}}, 3, r"placement must be nodes by provider, .* got 7"),
        ({"load": {"left": ["Gather"]}}, 3, r"left must be an object of integers"),
        ({"load": {"io": "gpu"}}, 3, r'io must be host or device, got "gpu"'),
        ({"load": {"provider": 1}}, 3, r"provider must be text, got 1"),
        ({"info": {"machine": None}}, 1, r"machine must be an object, got null"),
        ({"info": {"machine": {"cores": "8"}}}, 1, r'machine.cores must be an integer of at least 1, got "8"'),
        ({"info": {"machine": {"model": "\x1b[31m"}}}, 1, r'machine.model must be text, got "\\u001b'),
        ({"info": {"machine": {"instructions": "sve"}}}, 1, r"machine.instructions must be a list of text"),
        ({"info": {"runtime": ""}}, 1, r'runtime must be text, got ""'),
        ({"info": {"protocol": ...}}, 1, r"protocol must be an integer of at least 1, got nothing"),
        (
            {"info": {"protocol": 2}},
            1,
            r"protocol must be at most 1, which this edgesft reads, got 2\n.*update edgesft",
        ),
        ({"model": {"sha256": "abc"}}, 4, r'sha256 must be 64 hexadecimal digits, got "abc"'),
        ({"model": {"bytes": None}}, 4, r"bytes must be an integer of at least 1, got null"),
        ({"warm_up": {"stable": 1}}, 6, r"stable must be true or false, got 1"),
        ({"memory": {"peak_bytes": -1}}, 9, r"peak_bytes must be an integer of at least 0, got -1"),
        ({"state": {"temperature_mc": 31.2}}, 2, r"temperature_mc must be an integer, got 31.2"),
        ({"first": {"error": "out of memory"}}, 5, r"it could not do 'first': out of memory"),
        ({"first": {"op": 7}}, 5, r"op must be a word, got 7"),
        ({"first": {"op": ...}}, 5, r"op must be a word, got nothing"),
    ],
)
def test_wrong_fields(file: Path, change: dict[str, Any], line: int, words: str) -> None:
    error = refused(file, lines(**change))
    assert re.search(f"^{re.escape(str(file))}:{line}: .*{words}", str(error), re.DOTALL), str(error)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_none(file: Path, number: str) -> None:
    bad = text(lines()) + f'{{"op": "time", "ns": [{number}]}}'
    assert f"{file}:10: must be one JSON object in UTF-8, got {number}, which is no number" in str(refused(file, bad))
    assert f"{file}:1: " in str(refused(file, text(lines()).replace('"cores": 8', f'"cores": 8, "own": {number}')))


@pytest.mark.parametrize("line", ["time,ns", '{"op": "time" "ns": [1]}', "[1, 2]", '"time"', "[" * 100_000])
def test_lines_that_are_no_object(file: Path, line: str) -> None:
    told = text(lines()).splitlines()
    told[6] = line
    assert f"{file}:7: must be one JSON object in UTF-8, got " in str(refused(file, "\n".join(told) + "\n"))
    assert len(str(refused(file, line))) < 400


def test_a_log_at_the_end_is_no_cut(file: Path) -> None:
    assert f"{file}:10: must be one JSON object" in str(refused(file, text(lines()) + "done\n"))


@pytest.mark.parametrize("cut", [1, 2, 20, 47])
@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_file_that_is_cut_short(file: Path, cut: int, end: str) -> None:
    whole = text(without("memory")).rstrip("\n")
    error = str(refused(file, whole[:-cut] + end))
    assert (
        f"{file}: measurements must end with a whole line, got them cut short at line 8; its last whole line was op "
        in error
    )
    assert "op 'time'\n" in error and answers.AGAIN in error


def test_a_file_that_is_cut_within_a_letter_or_within_its_first_line(file: Path) -> None:
    data = json.dumps({"op": "info", "machine": {"model": "ü"}}, ensure_ascii=False).encode()
    error = str(refused(file, data[: data.index("ü".encode()) + 1]))
    assert "cut short at line 1; no line of it is whole" in error


def test_text_that_is_not_utf_8(file: Path) -> None:
    told = text(lines()).replace("m.onnx", "m\xfc.onnx").encode("latin-1")
    assert f"{file}:4: must be one JSON object in UTF-8, got byte 0xfc as character " in str(refused(file, told))
    error = refused(file, text(lines()).encode("utf-16"))
    assert "must be UTF-8, got UTF-16" in str(error) and "PowerShell" in str(error)


@pytest.mark.parametrize("data", [b"", b"\n", b"\xef\xbb\xbf", b" \r\n\r\n"])
def test_an_empty_file(file: Path, data: bytes) -> None:
    error = refused(file, data)
    assert "must hold what an agent wrote by itself, got an empty file" in str(error) and "agent.py" in str(error)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere.jsonl' must exist"):
        recordings(tmp_path / "nowhere.jsonl")
    with pytest.raises(InputError, match="must be a file that can be read, got: "):
        recordings(tmp_path)


@pytest.mark.parametrize(
    ("told", "line", "words"),
    [
        (without("info"), 1, "a recording must begin with 'info', got 'state'"),
        (without("load"), 1, "the recording must have 'load', got only info, state, model, first"),
        (without("model"), 1, "must have 'model', got only"),
        (without("first"), 1, "must have 'first', got only"),
        (without("time"), 1, "must have a series ('time'), got only"),
        (without("load", "model", "time"), 1, "must have 'load', 'model', a series ('time'), got only"),
        ([*lines(), {"op": "load", "load_ns": 5, "threads": 1}], 10, "'load' must stand once in a recording"),
        ([*lines(), *without("info")], 12, "'load' must stand once in a recording"),
        ([*without("first"), {"op": "first", "ns": 9}], 9, "'first' must stand before the series, got it after"),
        ([*without("warm_up"), lines()[5]], 9, "'warm_up' must stand before the series"),
        (
            [*lines(), {"op": "flight", "ns": [5], "wall_ns": 5, "how": "sessions"}],
            1,
            "series must all be of one operation, got time, flight",
        ),
        (
            [*without("time"), *({"op": "flight", "ns": [5], "wall_ns": 5, "how": "x", "streams": s} for s in (2, 3))],
            9,
            "streams must be the same in all series, got 2 and 3",
        ),
        ([*lines(), {"op": "spans", "ns": [5]}], 10, "op must be time, paced, flight for a series that is read back"),
        ([*lines(), {"op": "pipelined", "ns": [5]}], 10, "for a series that is read back, got pipelined"),
        (lines(load={"threads": ...}), 3, "threads must be told by 'load', got nothing"),
        (lines(load={"provider": ...}), 3, f"provider must be told by 'load', got nodes on {QNN}, {CPU}"),
        (lines(load={"provider": None, "placement": None}), 3, "provider must be told by 'load', got no placement"),
    ],
)
def test_wrong_recordings(file: Path, told: Lines, line: int, words: str) -> None:
    assert f"{file}:{line}: " in (error := str(refused(file, told))) and words in error


def test_the_hints_say_which_field_to_add(file: Path) -> None:
    error = refused(file, lines(load={"provider": ..., "threads": ..., "placement": None}))
    assert [str(problem.hint)[: len('add "provider": ')] for problem in error.problems] == [
        'add "provider": ',
        'add "threads": N',
    ]


def test_all_problems_are_told_at_once_but_not_hundreds(file: Path) -> None:
    first, second = lines(first={"ns": 0}), lines(memory={"peak_bytes": "much"}, state={"load": "high"})
    error = refused(file, first + second)
    assert [problem.where for problem in error.problems] == [f"{file}:{line}" for line in (5, 11, 18)]
    many = refused(file, "{\n" * 500).problems
    assert len(many) == answers.MOST + 1 and many[-1].message == "and 490 more problems"
    both = refused(file, without("model") + without("first"))
    assert [problem.where for problem in both.problems] == [f"{file}:1", f"{file}:9"]
