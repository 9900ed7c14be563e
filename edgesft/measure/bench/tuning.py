"""What pays on a device besides the model: threads, the session's options, a file that was optimised ahead."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from edgesft.budget.percentile import Interval, percentile
from edgesft.budget.ratio import ratio
from edgesft.errors import InputError, UnavailableError
from edgesft.measure import agent as here
from edgesft.measure import fingerprint
from edgesft.measure.bench.bench import LOADS, inspected, subject
from edgesft.measure.bench.choices import OPTIONS, counts
from edgesft.measure.bench.comparison import Measured, check_turns
from edgesft.measure.bench.lacking import absent
from edgesft.measure.bench.order import Order
from edgesft.measure.bench.prepare import prepare
from edgesft.measure.bench.prepared import Outputs, Prepared
from edgesft.measure.bench.survey import answers
from edgesft.measure.devices import HERE
from edgesft.measure.driver import MeasureError
from edgesft.measure.measurement import Measurement
from edgesft.measure.model.file import ModelFile, inspect
from edgesft.measure.parity import Parity, compare
from edgesft.measure.protocol import measure
from edgesft.measure.subject import Subject
from edgesft.progress import Progress
from edgesft.spec.profile import MOST_THREADS, ProfileSpec
from edgesft.store.disk import guarded

BEFORE, AFTER = "before", "after"

PAYS = 0.99
"""Share of the p50 before it below which the bounds of a choice must lie: less is within what medians repeat to."""

LOADS_FASTER = 0.8
"""Share of the fastest load before it below which the slowest one of a file that was optimised ahead must lie: of so
few, which come fast or slow by chance, medians alone would differ as much."""

LONGER = 1.02
"""Share of the p50 that such a file may take at most."""

AHEAD = "file optimised ahead"

Outcome = Literal["kept", "loads faster", "does not pay", "answers differ", "failed"]

PAYING: tuple[Outcome, ...] = ("kept", "loads faster")

_Judge = Callable[[Interval, Measurement, Measurement], Outcome]
"""Of the share of the p50, and both measurements: before and after."""


@dataclass(frozen=True)
class Trial:
    """A choice against what was kept before it.

    Attributes:
        choice: Its name.
        outcome: What came of it.
        ratio: Its p50 as a share of that before, with 95 % bounds; None where nothing was measured.
        p50_ns: Before and after.
        load_ns: Medians of creating the session, before and after.
        parity: How far its answers are from those with the profile as it was; None where they cannot be compared.
        problem: Why it failed, or None.
    """

    choice: str
    outcome: Outcome
    ratio: Interval | None = None
    p50_ns: tuple[int, int] | None = None
    load_ns: tuple[int, int] | None = None
    parity: Parity | None = None
    problem: str | None = None

    def to_json(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "choice": self.choice,
            "outcome": self.outcome,
            "ratio": self.ratio._asdict() if self.ratio else None,
            "p50_ns": list(self.p50_ns) if self.p50_ns else None,
            "load_ns": list(self.load_ns) if self.load_ns else None,
            "parity": self.parity.to_json() if self.parity else None,
            "problem": self.problem,
        }


@dataclass(frozen=True)
class Tuning:
    """What was found.

    Attributes:
        file: The model.
        trials: In the order in which they were made, each on what those before it left.
        whole: All that was kept against the profile as it was, measured anew; None where nothing was.
        profile: As it is best: that which was given, unless `whole` pays; on the provider that was measured.
        provider: That was measured.
        runtime: Version of onnxruntime.
        machine: The agent's machine.
        differences: Each field in which that is not the profile's machine.
    """

    file: ModelFile
    trials: tuple[Trial, ...]
    whole: Trial | None
    profile: ProfileSpec
    provider: str
    runtime: str
    machine: Mapping[str, Any]
    differences: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "model": {"name": self.file.path.name, **self.file.to_json()},
            "provider": self.provider,
            "runtime": self.runtime,
            "machine": dict(self.machine),
            "differences": list(self.differences),
            "trials": [trial.to_json() for trial in self.trials],
            "whole": self.whole.to_json() if self.whole else None,
            "profile": self.profile.model_dump(mode="json"),
        }


def tune(
    order: Order,
    progress: Progress,
    *,
    threads: int | None = None,
    optimised: Path | None = None,
    measured: Measured = measure,
) -> Tuning:
    """Tries each choice on what those before it left, by turns with it, and keeps it if it pays.

    Args:
        order: One model on one provider of one device.
        progress: Tells the person what goes on.
        threads: Most threads to try; by default the device's cores.
        optimised: New file where what the runtime optimised ahead is left, if it pays or loads faster.
        measured: Takes both sides of a trial; tests put another one here.

    Raises:
        InputError: Files, inputs or names that cannot work.
        MeasureError: The model cannot be measured as the profile has it.
        UnavailableError: The interpreter has no runtime, or that not the provider.
    """
    order.check(single=True)
    check_turns(order)
    files = list(inspected(order.models).values())
    if len(files) != 1 or len(order.providers) != 1:
        got = f"{len(files)} models and {len(order.providers)} providers"
        raise InputError(f"tuning takes one model on one provider, got {got}")
    if lacking := absent(order):
        raise UnavailableError(*lacking.values())
    # Whatever measures with the profile that is found is to be on the provider that it was found on.
    given = order.profile.model_copy(update={"providers": order.preference(order.providers[0])})
    order = replace(order, profile=given)
    tuner = _Tuner(order, prepare(order, files[0]), progress, measured)
    if optimised and not tuner.optimises:
        raise InputError(
            "what is optimised ahead must be one ONNX file, on the CPU provider of this interpreter, "
            f"got '{files[0].path}' on {order.providers[0].name}, {order.device.label}",
            "leave --optimised out",
        )
    with order.connect(order.device) as asked:
        info = asked.info()
    machine = info["machine"]
    most = min(threads or machine["cores"] or given.threads, MOST_THREADS)
    kept, trials = given, list[Trial]()
    for choice in (*counts(most), *OPTIONS):
        chosen = choice.of(kept, machine["architecture"])
        if chosen is not None:
            trials.append(tuner.tried(choice.name, kept, chosen))
            kept = chosen if trials[-1].outcome == "kept" else kept
    whole = tuner.tried("all that was kept", given, kept) if kept != given else None
    best = kept if whole and whole.outcome == "kept" else given
    if tuner.optimises:
        trials.append(tuner.ahead(best, optimised))
    differences = tuple(fingerprint.differences(given.machine, machine))
    provider, runtime = order.providers[0].name, info["runtime"]
    return Tuning(files[0], tuple(trials), whole, best, provider, runtime, machine, differences)


@dataclass(frozen=True)
class _Tuner:
    order: Order
    prepared: Prepared
    progress: Progress
    measured: Measured

    @property
    def optimises(self) -> bool:
        """Whether the runtime here can write what it optimises: for itself, and in one file."""
        file, provider = self.prepared.file, self.order.providers[0]
        alone = file.form == "onnx" and len(file.files) == 1
        return alone and provider.name == here.CPU and self.order.device is HERE

    def tried(self, name: str, before: ProfileSpec, after: ProfileSpec) -> Trial:
        """A profile against the one before it."""
        return self._twice(name, self._subject(before), self._subject(after), _pays)

    def ahead(self, profile: ProfileSpec, keep: Path | None) -> Trial:
        """The file that the runtime optimised against the one that it optimises whenever it is loaded."""
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder) / self.prepared.file.path.name
            try:
                _optimise(self.prepared.file.path, target, profile)
                file = inspect(target)
            except Exception as error:  # whatever the runtime raises on an operator that it cannot write
                return Trial(AHEAD, "failed", problem=f"{type(error).__name__}: {error}")
            session = profile.session.model_copy(update={"optimisation": "disabled"})
            after = replace(self._subject(profile), model=file.path, files=file.files, session=session)
            trial = self._twice(AHEAD, self._subject(profile), after, _starts)
            if keep and trial.outcome in PAYING:
                _leave(target, keep)
            return trial

    def _twice(self, name: str, before: Subject, after: Subject, judged: _Judge) -> Trial:
        """What pays must do so again in other processes.

        Where memory lies makes processes of the same model differ by one or two percent, which no bound of one pair
        tells (Mytkowicz et al. 2009, Producing Wrong Data Without Doing Anything Obviously Wrong).
        """
        trial = self._trial(name, before, after, judged)
        return trial if trial.outcome not in PAYING else self._trial(name, before, after, judged)

    def _subject(self, profile: ProfileSpec) -> Subject:
        return subject(replace(self.order, profile=profile), self.prepared, self.order.providers[0])

    def _trial(self, name: str, before: Subject, after: Subject, judged: _Judge) -> Trial:
        self.progress.say(f"trying {name}")
        _ = self._expected  # What fails as the profile was given is no failure of the choice.
        try:
            parity = self._parity(after)
        except MeasureError as error:
            return Trial(name, "failed", problem=str(error))
        if parity is not None and not parity.holds:
            return Trial(name, "answers differ", parity=parity)
        settings = self.order.profile.measure
        found = self.measured(
            {BEFORE: before, AFTER: after}, settings, progress=self.progress, seed=self.order.seed, loads=LOADS
        )
        first, second = found[BEFORE], found[AFTER]
        if isinstance(first, MeasureError):
            raise first
        if isinstance(second, MeasureError):
            return Trial(name, "failed", parity=parity, problem=str(second))
        return _judged(name, first, second, parity, judged)

    @cached_property
    def _expected(self) -> list[Outputs]:
        """What the model answers as the profile was given; empty where that cannot be compared."""
        return self._answers(self._subject(self.order.profile))

    def _answers(self, subject: Subject) -> list[Outputs]:
        with subject.connect() as agent:
            subject.begin(agent, whole=False)
            try:
                return answers(agent, self.prepared.compared)
            except MeasureError as error:
                if error.reason is None:
                    raise
                return []  # an output that is no array

    def _parity(self, subject: Subject) -> Parity | None:
        expected, got = self._expected, self._answers(subject)
        count = min(len(expected), len(got))
        return compare(expected[:count], got[:count], self.prepared.file.precision) if count else None


def _judged(name: str, before: Measurement, after: Measurement, parity: Parity | None, judged: _Judge) -> Trial:
    if why := before.untimed or after.untimed:
        raise MeasureError(f"nothing can be tuned: {why}")
    found = ratio(after.judged, before.judged, 50)
    loads = before.load_ns or 0, after.load_ns or 0
    p50 = percentile(before.samples, 50), percentile(after.samples, 50)
    return Trial(name, judged(found, before, after), found, p50, loads, parity)


def _pays(found: Interval, *_: Measurement) -> Outcome:
    return "kept" if found.upper is not None and found.upper <= PAYS else "does not pay"


def _starts(found: Interval, before: Measurement, after: Measurement) -> Outcome:
    soon = max(after.loads_ns) <= LOADS_FASTER * min(before.loads_ns)
    soon = soon and found.upper is not None and found.upper <= LONGER
    return "loads faster" if soon and _pays(found) != "kept" else _pays(found)


def _optimise(model: Path, target: Path, profile: ProfileSpec) -> None:
    """Writes what the runtime makes of a model when it loads it, for this machine's processor."""
    options = here.session_options(str(model), profile.threads, profile.session.optimisation, profile.session.entries)
    options.optimized_model_filepath = str(target)
    here.create_session(str(model), [{"name": here.CPU, "options": {}}], options)


def _leave(file: Path, target: Path) -> None:
    """Copies a file to a new one, whole or not at all."""
    with guarded(target.parent), target.open("xb") as copy:
        try:
            with file.open("rb") as source:
                shutil.copyfileobj(source, copy)
            copy.flush()
        except OSError:
            target.unlink()
            raise
