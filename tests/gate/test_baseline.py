"""The file that a team commits: what it holds, how it is read and refused, how checks get into it."""

from __future__ import annotations

import json
import random
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from edgesft.budget.percentile import NEVER, Interval
from edgesft.errors import InputError
from edgesft.gate.baseline import Acceptance, Baseline, Figures, Key, figures_of
from edgesft.gate.key import FIELDS
from edgesft.gate.update import entries, update
from edgesft.measure import fingerprint
from edgesft.spec.gate import GrowthSpec
from tests.gate.baselines import CREATED, MACHINE, baseline, document, entry, key, save, timing
from tests.report.measured import measurement


def accept(line: str = "max_growth.size", **changes: Any) -> Acceptance:
    told = {"line": line, "model": "m.onnx", "up_to": 0.1, "reason": "a new head", "until": date(2030, 6, 30)}
    return Acceptance(**(told | changes))


def refused(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        Baseline.read(path)
    assert caught.value.exit_code == 2 and path.name in str(caught.value)
    return str(caught.value)


# Keys -----------------------------------------------------------------------------------------------------------------


def test_a_key_is_of_what_stays_the_same_of_a_machine() -> None:
    here = fingerprint.machine()
    other = {**here, "memory_bytes": 1, "kernel": "x", "python": "3", "governor": "x", "cache_bytes": [], "load": 9}
    keys = [Key.of("m.onnx", "ci", "CPUExecutionProvider", "1.32.0", 2, each) for each in (here, other)]
    assert keys[0] == keys[1]
    assert set(keys[0].to_json()["machine"]) == {"architecture", "system", "model", "board", "cores", "instructions"}
    assert keys[0].to_json()["machine"]["cores"] == here["cores"]


def test_a_key_comes_back_from_json() -> None:
    told = key(machine_board=None, machine_instructions=None)
    assert Key.from_json(json.loads(json.dumps(told.to_json()))) == told != key()


def test_the_order_of_instruction_sets_does_not_matter() -> None:
    assert key(machine_instructions=["zfh", "v"]) == key()


def test_options_are_those_that_are_not_taken_anyway() -> None:
    def told(**options: str) -> tuple[str, ...]:
        return key(provider="QNNExecutionProvider", options=options).options

    assert told(backend_type="htp") == () and told(backend_type="cpu") == ("backend_type=cpu",)
    assert told(soc_model="57", backend_type="htp", htp_performance_mode="burst") == (
        "htp_performance_mode=burst",
        "soc_model=57",
    )


@pytest.mark.parametrize("folder", ["/home/ci/7/engines", "/tmp/engines/", r"C:\\build\\engines", "engines"])
def test_where_files_lie_is_no_part_of_a_key(folder: str) -> None:
    assert key(options={"cache": folder}).options == ("cache=engines",)
    assert key(options={"cache": "/"}).options == ("cache=/",)


def test_a_key_without_options_is_written_as_ever() -> None:
    assert "options" not in key().to_json()
    told = key(options={"use_arena": "0"})
    assert told.to_json()["options"] == ["use_arena=0"] and Key.from_json(told.to_json()) == told != key()


OTHERS: dict[str, Any] = {
    "profile": "pi",
    "provider": "QNNExecutionProvider",
    "options": {"use_arena": "0", "other": "/a/folder/cache"},
    "runtime": "1.31.0",
    "threads": 2,
    "machine_architecture": "aarch64",
    "machine_system": "Darwin",
    "machine_model": "another core",
    "machine_board": None,
    "machine_cores": 8,
    "machine_instructions": ["v"],
}


@pytest.mark.parametrize("name", OTHERS)
def test_each_field_that_differs_is_named_with_both_values(name: str) -> None:
    told = key().differences(key(**{name: OTHERS[name]}), FIELDS)
    field = name.replace("machine_", "machine.")
    words = {"machine_board": "none told", "machine_instructions": "v", "options": "other=cache use_arena=0"}
    assert told == [f"{field}: the baseline has {words.get(name, OTHERS[name])}, this is {_word(field)}"]


def _word(field: str) -> str:
    value = key().fields[field]
    return (" ".join(value) or "none") if isinstance(value, tuple) else str(value)


# Figures --------------------------------------------------------------------------------------------------------------


def test_figures_are_named_as_growth_limits_them() -> None:
    counts = dict.fromkeys(("parameters", "macs", "nodes", "partitions", "off_provider", "instructions"), 7.0)
    counts["placement_share"] = 0.5
    told = figures_of(measurement(loads_ns=tuple(range(1, 8))), counts, 1234, {"accuracy": Interval(0.9, 0.8, None)})
    assert set(GrowthSpec.model_fields) <= set(told)
    assert set(told) - set(GrowthSpec.model_fields) == {"metrics", "scenario", "inputs"}
    assert told["size"] == 1234 and told["macs"] == 7 and type(told["macs"]) is int
    assert told["metrics"] == {"accuracy": {"value": 0.9, "lower": 0.8}}
    assert Figures.from_json(json.loads(json.dumps(told))).to_json() == told


def test_times_are_whole_nanoseconds_with_bounds_and_n() -> None:
    told = figures_of(measurement(), {}, 1, {})
    for name in ("p50", "p90", "p95", "p99"):
        figure = told[name]
        assert figure["lower"] <= figure["value"] <= figure["upper"] and figure["n"] == 1000
        assert all(type(each) is int for each in figure.values())
    assert told["peak_memory"] == 70_000_000


def test_what_samples_do_not_carry_is_left_out() -> None:
    few = measurement(rounds=tuple((1_000_000 + number,) * 10 for number in range(10)), peak_memory_bytes=None)
    told = figures_of(few, {}, 1, {})
    assert {"p50", "p90", "p95"} <= set(told) and not {"p99", "peak_memory"} & set(told)
    assert told["load"] == {"value": 5_000_000, "n": 1}
    assert set(figures_of(measurement(rounds=((1, 2, 3),)), {}, 1, {})) & {"p50", "p90", "p95", "p99"} == set()


def test_rows_without_an_answer_are_among_the_samples() -> None:
    dropping = measurement(rounds=((1_000_000,) * 18,) * 10, lost=(2,) * 10)
    told = figures_of(dropping, {}, 1, {})
    assert (told["p50"]["value"], told["p50"]["n"], told["p95"]["value"]) == (1_000_000, 200, NEVER)


def test_without_measuring_there_is_what_is_counted() -> None:
    assert figures_of(None, {"nodes": 3}, 10, {}) == {"size": 10, "nodes": 3}


def test_what_was_fed_does_not_tell_how_long_it_took() -> None:
    told = [figures_of(measurement(inputs=f"rows.npz, 8 requests, {n} distinct"), {}, 1, {}) for n in (7, 8)]
    assert told[0] == told[1] and told[0]["inputs"] == "rows.npz, 8 requests"


def test_why_times_decide_nothing_is_kept() -> None:
    drifting = measurement(rounds=tuple((1_000_000 + 50_000 * number,) * 20 for number in range(20)))
    told = figures_of(drifting, {}, 1, {}, suspicions=["the device slept"])
    assert "drifted" in told["unsteady"][0] and told["unsteady"][-1] == "the device slept"
    assert "unsteady" not in figures_of(measurement(), {}, 1, {})


def test_more_confidence_is_further_apart_and_takes_more_samples() -> None:
    usual, strict = (figures_of(measurement(), {}, 1, {}, confidence=each) for each in (0.95, 0.9999))
    assert strict["p50"]["upper"] > usual["p50"]["upper"] and strict["p50"]["lower"] < usual["p50"]["lower"]


# The file -------------------------------------------------------------------------------------------------------------


def test_a_baseline_comes_back_as_it_was(tmp_path: Path) -> None:
    timed = entry(key(profile="pi"), p50=timing(1_000_000, 1000), metrics={"f1": {"value": 0.5}})
    base = baseline(timed, entry(), accepted=(accept(profile="pi"), accept()))
    read = Baseline.read(save(tmp_path / "baseline.json", base.text()))
    assert read.entries == (entry(), timed) and set(read.accepted) == {*base.accepted}
    assert read.text() == base.text()
    assert base.text().startswith('{\n  "schema": "edgesft/baseline",\n  "schema_version": 1,\n  "entries": [\n')
    assert base.text().endswith("}\n")


def test_the_same_content_has_the_same_text() -> None:
    some = [entry(key(profile=name, threads=n)) for name in "cab" for n in (1, 2, 16)]
    kept = [accept(f"max_growth.{name}") for name in ("size", "nodes", "macs")]
    texts = set()
    for seed in range(5):
        random.Random(seed).shuffle(some)
        random.Random(seed).shuffle(kept)
        texts.add(baseline(*some, accepted=kept).text())
    (text,) = texts
    told = json.loads(text)
    keys = [each["key"] for each in told["entries"]]
    assert [(each["profile"], each["threads"]) for each in keys] == [(p, n) for p in "abc" for n in (1, 2, 16)]
    assert [each["line"] for each in told["accepted"]] == ["max_growth.macs", "max_growth.nodes", "max_growth.size"]


def test_reasons_stay_readable(tmp_path: Path) -> None:
    text = baseline(accepted=[accept(reason="größer, „besser“")]).text()
    assert "größer, „besser“" in text
    assert Baseline.read(save(tmp_path / "b.json", text)).accepted[0].reason == "größer, „besser“"


GOOD = baseline().to_json()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "Expecting value in line 1, column 1"),
        (json.dumps(GOOD, indent=2)[:300], "line 1"),
        ('{"schema": "edgesft/baseline",\n oops', "line 2, column 2"),
        (f"<<<<<<< HEAD\n{json.dumps(GOOD)}\n=======\n{{}}\n>>>>>>> other\n", "conflict that git marked"),
        ("[1, 2]", "must be a JSON object, got list"),
        ("[" * 100_000, "nested too deep"),
        ("{}", "must be 'edgesft/baseline', got None"),
        (json.dumps(GOOD | {"schema": "edgesft/check"}), "must be 'edgesft/baseline', got 'edgesft/check'"),
        (json.dumps(GOOD | {"schema_version": 2}), "at most 1 for this edgesft, got 2"),
        *(
            (json.dumps(GOOD | {"schema_version": each}), "whole number from 1 on")
            for each in (0, -1, 1.0, "1", True, None)
        ),
        (json.dumps({**GOOD, "entries": None}), "'entries'"),
        (json.dumps({**GOOD, "entrys": []}), "'entries'"),
        (json.dumps({name: value for name, value in GOOD.items() if name != "entries"}), "'entries' must be given"),
    ],
)
def test_what_is_no_baseline_is_refused(text: str, words: str, tmp_path: Path) -> None:
    path = save(tmp_path / "baseline.json", text)
    assert words in refused(path)
    assert path.read_text() == text


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    assert "edgesft baseline update" in refused(tmp_path / "none.json")
    assert "must be a file that can be read" in refused(tmp_path)
    (tmp_path / "b.json").write_bytes(b"\xff\xfe{}")
    assert "must be UTF-8, got byte 0xff" in refused(tmp_path / "b.json")


def test_every_malformed_entry_is_named(tmp_path: Path) -> None:
    data = baseline(*(entry(key(profile=f"p{number}")) for number in range(6))).to_json()
    held = data["entries"]
    held[0]["figures"]["size"] = "big"
    held[1]["key"]["threads"] = 0
    held[2]["sha256"] = "abc"
    held[3]["created"] = "yesterday"
    held[4]["key"]["machine"]["kore"] = 4
    data["accepted"] = [{"line": "max_growth.size", "model": "m.onnx", "up_to": 0.1, "until": "2030-02-31"}]
    told = refused(save(tmp_path / "baseline.json", data))
    places = ("0.figures.size", "1.key.threads", "2.sha256", "3.created", "4.key.machine.kore")
    assert all(f"entries.{place}" in told for place in places) and "entries.5" not in told
    assert "accepted.0.until" in told and "'reason' must be given" in told and "with its zone" in told


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"line": "max_growth.sise"}, "'max_growth.size'"),
        ({"line": "size"}, "'max_growth.size'"),
        ({"reason": " "}, "must say why"),
        ({"up_to": 0}, "'up_to'"),
        ({"up_to": float("inf")}, "'up_to'"),
        ({"up_to": "0.1"}, "'up_to'"),
        ({"until": "31.12.2030"}, "'until'"),
        ({"until": 1893456000}, "'until'"),
        ({"untill": "2030-12-31"}, "'untill' is not a key here"),
    ],
)
def test_what_cannot_be_accepted_is_refused(changes: Any, words: str, tmp_path: Path) -> None:
    data = baseline().to_json() | {"accepted": [accept().to_json() | changes]}
    told = refused(save(tmp_path / "baseline.json", data))
    assert words in told and "accepted.0" in told


def test_nothing_stands_there_twice(tmp_path: Path) -> None:
    data = baseline(entry(), entry(size=2000), accepted=[accept(), accept(up_to=0.2)]).to_json()
    told = refused(save(tmp_path / "baseline.json", data))
    assert "got entries.0 and entries.1" in told and "got accepted.0 and accepted.1" in told


def test_a_model_must_have_an_entry() -> None:
    base = baseline(entry(), entry(key(model="other.onnx")))
    assert [each.key.model for each in base.of("m.onnx")] == ["m.onnx"]
    with pytest.raises(InputError, match=r"of model 'othr.onnx', got those of 'm.onnx', 'other.onnx'") as caught:
        base.of("othr.onnx")
    assert "Try: 'other.onnx'" in str(caught.value)
    with pytest.raises(InputError, match="got none at all"):
        Baseline(Path("b.json")).of("m.onnx")


# Documents of checks --------------------------------------------------------------------------------------------------


def test_a_check_makes_an_entry(tmp_path: Path) -> None:
    path = save(tmp_path / "check.json", document(p50=timing(1000, 10)))
    (made,) = entries([path])
    assert made == entry(p50=timing(1000, 10))
    (named,) = entries([path], model="n.onnx")
    assert named.key == key(model="n.onnx") and named.figures == made.figures


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (json.dumps(document())[:200], "it is cut short"),
        (GOOD, "must be 'edgesft/check', got 'edgesft/baseline'"),
        (document(changes={"schema": "edgesft/compare"}), "got 'edgesft/compare'"),
        (document(changes={"schema_version": 9}), "at most 1 for this edgesft, got 9"),
        (document(changes={"key": {}}), "'model' must be given"),
        (document(changes={"subject": {"name": "m.onnx"}}), "'sha256' must be given"),
        (document(lines=[("size_mb", "fail"), ("nodes", "pass")]), "got a failure of size_mb"),
    ],
)
def test_what_is_no_good_check_is_refused(data: Any, words: str, tmp_path: Path) -> None:
    paths = [save(tmp_path / "bad.json", data), tmp_path / "none.json"]
    with pytest.raises(InputError) as caught:
        entries(paths)
    assert words in str(caught.value) and "none.json' must exist" in str(caught.value)


def test_growth_and_what_is_shown_only_may_have_failed(tmp_path: Path) -> None:
    data = document(lines=[("max_growth.size", "fail"), ("nodes", "inconclusive"), ("size", "fail")])
    data["lines"][-1]["gates"] = False
    assert entries([save(tmp_path / "check.json", data)]) == [entry()]


def test_failures_are_taken_by_force(tmp_path: Path) -> None:
    path = save(tmp_path / "check.json", document(lines=[("size_mb", "fail")]))
    assert entries([path], force=True) == [entry()]


def test_two_checks_of_one_key_are_refused(tmp_path: Path) -> None:
    paths = [save(tmp_path / name, document(size=size)) for name, size in (("a.json", 1), ("b.json", 2))]
    with pytest.raises(InputError, match=r"b.json' must be of another key than '.*a.json'"):
        entries(paths)


# Updates --------------------------------------------------------------------------------------------------------------


def test_an_update_replaces_its_own_key_alone() -> None:
    other, older = entry(key(profile="pi")), entry(key(runtime="1.31.0"))
    base = baseline(entry(), other, older)
    new = entry(size=1100, sha256="cd" * 32, created="2031-01-01T00:00:00+00:00")
    found = update(base, [new])
    assert found.baseline.entries == (older, new, other)
    (change,) = found.changes
    assert change.what == "changed" and change.figures == [("size", 1000, 1100)]


def test_the_same_figures_change_nothing() -> None:
    base = baseline(entry(p50=timing(5, 1)))
    again = entry(p50=timing(5, 1), created="2031-01-01T00:00:00+00:00")
    found = update(base, [again])
    assert found.baseline.text() == base.text() and found.changes[0].what == "same"


def test_a_new_key_is_added() -> None:
    found = update(baseline(), [entry(key(threads=2))])
    assert len(found.baseline.entries) == 2 and found.changes[0].what == "added"
    assert ("size", None, 1000) in found.changes[0].figures


def test_a_figure_that_is_no_longer_there_is_told() -> None:
    found = update(baseline(entry(macs=5)), [entry()])
    assert found.changes[0].figures == [("macs", 5, None)]


def test_prune_drops_other_runtimes_of_the_same() -> None:
    old, elsewhere = entry(key(runtime="1.31.0")), entry(key(runtime="1.31.0", machine_cores=8))
    base = baseline(old, elsewhere, entry(key(model="n.onnx", runtime="1.31.0")))
    assert old in update(base, [entry()]).baseline.entries
    found = update(base, [entry()], prune=True)
    assert old not in found.baseline.entries and len(found.baseline.entries) == 3
    assert [(each.what, each.key) for each in found.changes] == [("added", key()), ("dropped", old.key)]


def test_what_was_accepted_over_a_figure_goes_with_it() -> None:
    """Otherwise as much growth again would be let through."""
    others = [accept("max_growth.nodes"), accept(profile="pi"), accept(model="n.onnx")]
    base = baseline(entry(), entry(key(profile="pi"), size=700), accepted=[accept(profile="ci"), *others])
    found = update(base, [entry(size=1050)])
    assert found.settled == (accept(profile="ci"),) and found.kept == ()
    assert set(found.baseline.accepted) == set(others)


def test_what_was_accepted_stays_for_entries_that_are_not_updated() -> None:
    base = baseline(entry(), entry(key(profile="pi")), accepted=[accept()])
    found = update(base, [entry(size=1050)])
    assert found.kept == (accept(),) and found.baseline.accepted == (accept(),) and not found.settled
    both = update(base, [entry(size=1050), entry(key(profile="pi"), size=1050)])
    assert both.settled == (accept(),) and not both.baseline.accepted


def test_what_was_accepted_stays_where_its_figure_does() -> None:
    found = update(baseline(accepted=[accept()]), [entry(nodes=11)])
    assert found.baseline.accepted == (accept(),) and not found.settled and not found.kept


def test_the_machine_of_the_helpers_is_whole() -> None:
    assert set(MACHINE) == set(key().to_json()["machine"]) and entry().created == CREATED
