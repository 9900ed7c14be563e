from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesft.errors import InputError, UnavailableError
from edgesft.measure.bench.choices import OPTIONS, Choice
from edgesft.measure.bench.order import Order
from edgesft.measure.bench.tuning import AFTER, AHEAD, Trial, Tuning, tune
from edgesft.measure.driver import MeasureError
from edgesft.measure.measurement import Measurement
from edgesft.measure.subject import Subject
from edgesft.progress import Progress
from edgesft.spec.profile import MachineSpec, MeasureSpec, ProfileSpec, ProviderSpec, SessionSpec
from tests.measure import models
from tests.report.measured import measurement

QUIET = Progress(quiet=True)

SLEEPING = "session.intra_op.allow_spinning"


class Machine:
    """Times sessions on a made-up machine: two threads take 0.6 of the time, waiting threads that sleep 0.9 of that."""

    def __init__(self, *, lucky: str = "", failing: str = "", loads: tuple[int, ...] = (1_000_000,) * 5) -> None:
        """A machine.

        Args:
            lucky: Entry that seems faster the first time.
            failing: Entry with which the session crashes.
            loads: Nanoseconds to load a file that was optimised ahead; another takes five times the first.
        """
        self.lucky, self.failing, self.loads = lucky, failing, loads
        self.seen = 0

    def __call__(self, subjects: Mapping[str, Subject], settings: MeasureSpec, **more: Any) -> dict[str, Any]:
        return {name: self._taken(name, subject) for name, subject in subjects.items()}

    def _taken(self, name: str, subject: Subject) -> Measurement | MeasureError:
        entries = subject.session.entries
        if self.failing in entries:
            return MeasureError("crashed", "load", None)
        level = 1e6 * (0.6 if subject.threads == 2 else 1.3 if subject.threads > 2 else 1.0)
        level *= 0.9 if entries.get(SLEEPING) == "0" else 1.0
        if name == AFTER and self.lucky in entries:
            self.seen += 1
            level *= 0.9 if self.seen == 1 else 1.0
        rounds = tuple(tuple(int(level) + place for place in range(20)) for _ in range(6))
        ahead = subject.session.optimisation == "disabled"
        return measurement(rounds=rounds, loads_ns=self.loads if ahead else (5_000_000,) * 5)


def order(tmp_path: Path, **changes: Any) -> Order:
    plan = models.profile().model_copy(update=changes)
    model = models.save_product(tmp_path / "m.onnx", width=8)
    return Order([model], plan, plan.providers[:1], axes={"batch": 1})


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is tried but threads, sleep and a file optimised ahead."""
    kept = tuple(choice for choice in OPTIONS if SLEEPING in choice.entries)
    monkeypatch.setattr("edgesft.measure.bench.tuning.OPTIONS", kept)


def outcomes(found: Tuning) -> dict[str, str]:
    return {trial.choice: trial.outcome for trial in found.trials}


def test_what_pays_is_kept_on_what_those_before_it_left(tmp_path: Path) -> None:
    found = tune(order(tmp_path), QUIET, threads=4, measured=Machine())
    kept = [name for name, outcome in outcomes(found).items() if outcome == "kept"]
    assert kept == ["2 threads", "threads that wait sleep"], (
        "what bears on several threads is tried once there are some"
    )
    assert outcomes(found)["4 threads"] == "does not pay"
    assert found.profile.threads == 2 and found.profile.session.entries == {SLEEPING: "0"} and not found.differences
    assert found.whole is not None and found.whole.ratio is not None
    assert found.whole.ratio.value == pytest.approx(0.54, abs=1e-3), "all of it against the profile as it was"


def test_luck_does_not_repeat(tmp_path: Path) -> None:
    lucky = "session.set_denormal_as_zero"
    machine = Machine(lucky=lucky)
    found = tune(order(tmp_path), QUIET, threads=1, measured=machine)
    assert outcomes(found)["denormals are zero"] == "does not pay" and machine.seen == 2
    assert found.whole is None and found.profile.session == SessionSpec()


def test_what_crashes_is_told_and_the_others_go_on(tmp_path: Path) -> None:
    found = tune(order(tmp_path), QUIET, threads=2, measured=Machine(failing="session.set_denormal_as_zero"))
    (trial,) = [each for each in found.trials if each.outcome == "failed"]
    assert trial.choice == "denormals are zero" and "crashed" in str(trial.problem)
    assert found.profile.threads == 2


def test_the_profile_as_it_is_must_be_measured(tmp_path: Path) -> None:
    given = order(tmp_path, session=SessionSpec(entries={SLEEPING: "1"}))
    with pytest.raises(MeasureError, match="crashed"):
        tune(given, QUIET, threads=2, measured=Machine(failing=SLEEPING))


def test_a_file_optimised_ahead_is_kept_where_it_loads_faster(tmp_path: Path) -> None:
    import onnxruntime

    kept = tmp_path / "ahead.onnx"
    found = tune(order(tmp_path), QUIET, threads=1, optimised=kept, measured=Machine())
    assert outcomes(found)[AHEAD] == "loads faster"
    rows = np.ones((1, 8), np.float32)
    assert (onnxruntime.InferenceSession(str(kept)).run(None, {"x": rows})[0] == rows).all()


def test_a_file_that_gains_nothing_is_not_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = tmp_path / "ahead.onnx"
    monkeypatch.setattr("edgesft.measure.bench.tuning.LOADS_FASTER", 0.1)
    found = tune(order(tmp_path), QUIET, threads=1, optimised=kept, measured=Machine())
    assert outcomes(found)[AHEAD] == "does not pay" and not kept.exists()


@pytest.mark.parametrize("loads", [(1_000_000, 1_000_000, 1_000_000, 5_000_000, 5_000_000), (4_500_000,) * 5])
def test_loads_that_differ_by_chance_are_not_told(tmp_path: Path, few: None, loads: tuple[int, ...]) -> None:
    found = tune(order(tmp_path), QUIET, threads=1, measured=Machine(loads=loads))
    assert outcomes(found)[AHEAD] == "does not pay"


def test_a_file_that_loads_faster_once_is_luck(tmp_path: Path, few: None) -> None:
    class Lucky(Machine):
        def __call__(self, subjects: Mapping[str, Subject], settings: MeasureSpec, **more: Any) -> dict[str, Any]:
            found = super().__call__(subjects, settings, **more)
            if subjects[AFTER].session.optimisation == "disabled":
                self.loads = (5_000_000,) * 5
            return found

    assert outcomes(tune(order(tmp_path), QUIET, threads=1, measured=Lucky()))[AHEAD] == "does not pay"


def test_a_file_optimised_ahead_is_of_the_profile_as_it_is_left(tmp_path: Path, few: None) -> None:
    class Together(Machine):
        """All that was kept does not pay together."""

        def _taken(self, name: str, subject: Subject) -> Any:
            seen.append((name, subject))
            last = seen[-2:]
            if (
                name == AFTER
                and last[0][1].threads == 1
                and subject.threads == 2
                and SLEEPING in subject.session.entries
            ):
                return super()._taken(name, last[0][1])
            return super()._taken(name, subject)

    seen: list[tuple[str, Subject]] = []
    found = tune(order(tmp_path), QUIET, threads=2, measured=Together())
    assert found.whole is not None and found.whole.outcome == "does not pay" and found.profile.threads == 1
    ahead = [subject for _, subject in seen if subject.session.optimisation == "disabled"]
    assert ahead and all(subject.threads == 1 and SLEEPING not in subject.session.entries for subject in ahead)


def test_a_file_that_was_made_meanwhile_stays(tmp_path: Path, few: None) -> None:
    kept = tmp_path / "ahead.onnx"
    kept.write_text("mine")
    with pytest.raises(UnavailableError):
        tune(order(tmp_path), QUIET, threads=1, optimised=kept, measured=Machine())
    assert kept.read_text() == "mine"


def test_what_cannot_be_optimised_ahead_is_told_before_anything_is_measured(tmp_path: Path) -> None:
    given = replace(order(tmp_path), models=[models.save_product(tmp_path / "o.onnx", width=64, outside="weights")])
    with pytest.raises(InputError, match=r"must be one ONNX file.* got '.*o\.onnx' on CPUExecutionProvider, here"):
        tune(given, QUIET, threads=1, optimised=tmp_path / "ahead.onnx", measured=Machine())


def test_the_profile_is_on_the_provider_that_was_measured(tmp_path: Path, few: None) -> None:
    asked = ProviderSpec(name="CPUExecutionProvider", options={"use_arena": "0"})
    found = tune(replace(order(tmp_path), providers=(asked,)), QUIET, threads=2, measured=Machine())
    assert found.profile.threads == 2 and found.profile.providers == (asked,)


def test_a_machine_that_is_not_the_profiles_is_told(tmp_path: Path, few: None) -> None:
    found = tune(order(tmp_path, machine=MachineSpec(model="no such board")), QUIET, threads=1, measured=Machine())
    assert "no such board" in found.differences[0]


def test_lower_optimisation_is_tried_the_other_way_too() -> None:
    basic = models.profile().model_copy(update={"session": SessionSpec(optimisation="basic")})
    tried = [choice.name for choice in OPTIONS if choice.of(basic, "x86_64") is not None]
    assert "optimisation: all" in tried and "optimisation: basic" not in tried
    assert "optimisation: all" not in [choice.name for choice in OPTIONS if choice.of(models.profile(), "x86_64")]


def test_threads_are_as_many_as_a_profile_may_have(tmp_path: Path, few: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgesft.measure.bench.tuning.MOST_THREADS", 3)
    tried = outcomes(tune(order(tmp_path), QUIET, threads=1000, measured=Machine()))
    assert [name for name in tried if "thread" in name][:3] == ["2 threads", "3 threads", "threads that wait sleep"]


def test_requests_that_the_model_does_not_take_are_bad_input(tmp_path: Path) -> None:
    model, rows = models.save_classifier(tmp_path / "c.onnx", rows=10), tmp_path / "rows.npz"
    np.savez(rows, ids=np.full((4, 3), 99))
    plan = models.profile()
    with pytest.raises(InputError, match="inputs must be what the model can run on"):
        tune(Order([model], plan, plan.providers[:1], inputs=rows), QUIET, threads=1, measured=Machine())


def test_other_answers_are_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgesft.measure.parity.TOLERANCES", {"fp32": -1.0})
    found = tune(order(tmp_path), QUIET, threads=2, measured=Machine())
    assert {trial.outcome for trial in found.trials} == {"answers differ"} and found.profile.threads == 1


def test_answers_that_are_no_arrays_are_not_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def sequence(*_: Any) -> None:
        raise MeasureError("a sequence", "run", "a sequence")

    monkeypatch.setattr("edgesft.measure.bench.tuning.answers", sequence)
    found = tune(order(tmp_path), QUIET, threads=2, measured=Machine())
    assert found.profile.threads == 2 and all(trial.parity is None for trial in found.trials)


def test_what_changes_nothing_is_not_tried() -> None:
    plan = models.profile()
    sleeping, arm = (
        next(each for each in OPTIONS if name in each.entries) for name in (SLEEPING, "mlas.disable_kleidiai")
    )
    assert sleeping.of(plan, "x86_64") is None, "one thread waits for none"
    assert arm.of(plan, "x86_64") is None and arm.of(plan, "aarch64") is not None
    assert Choice("1 thread", threads=1).of(plan, "x86_64") is None
    assert Choice("2 threads", threads=2).of(plan, "x86_64") == plan.model_copy(update={"threads": 2})


def test_it_takes_one_model_by_turns(tmp_path: Path) -> None:
    plan, first = models.profile(), models.save_product(tmp_path / "a.onnx")
    other = models.save_product(tmp_path / "b.onnx")
    with pytest.raises(InputError, match="one model on one provider, got 2 models and 1 providers"):
        tune(Order([first, other], plan, plan.providers), QUIET)
    sustained = plan.model_copy(update={"measure": plan.measure.model_copy(update={"scenario": "sustained"})})
    with pytest.raises(InputError, match="by turns, got sustained"):
        tune(Order([first], sustained, plan.providers), QUIET)


def test_a_session_entry_that_the_runtime_would_ignore_is_refused(tmp_path: Path) -> None:
    wrong = order(tmp_path, session=SessionSpec(entries={"session.allow_spinning": "0"}))
    with pytest.raises(InputError, match=r"session entry 'session\.allow_spinning' must be one of a session") as caught:
        wrong.check()
    assert "session.intra_op.allow_spinning" in str(caught.value)


def test_a_trial_without_numbers_has_a_json_form() -> None:
    assert Trial("x", "failed", problem="no").to_json()["ratio"] is None


def test_the_session_reaches_the_runtime_and_the_measurement(tmp_path: Path) -> None:
    given = order(tmp_path, session=SessionSpec(optimisation="basic", entries={SLEEPING: "0"}))
    from edgesft.measure.bench.bench import bench

    (row,) = bench(given, QUIET)
    assert row.measurement is not None and row.measurement.options == {"optimisation": "basic", SLEEPING: "0"}


def test_options_of_a_profile_tell_measurements_apart() -> None:
    plan: ProfileSpec = models.profile()
    provider = ProviderSpec(name="CPUExecutionProvider", options={"a": "1"})
    assert plan.options(provider) == {"a": "1"}
    changed = plan.model_copy(update={"session": SessionSpec(optimisation="extended")})
    assert changed.options(provider) == {"a": "1", "optimisation": "extended"}
