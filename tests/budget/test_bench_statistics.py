"""bench/statistics.py and what it simulates, with fewer trials."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from edgesft.budget import percentile
from edgesft.budget.sequential import Decision, decide
from edgesft.budget.verdict import at_most

BENCH = Path(__file__).parent.parent.parent / "bench"
TRIALS = 120


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    """The simulation, which is not on the path."""
    spec = importlib.util.spec_from_file_location("simulation", BENCH / "simulation.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def case(bench: ModuleType, name: str, p: int) -> object:
    (found,) = [each for each in bench.CASES if (each.name, each.p) == (name, p)]
    return found


@pytest.mark.parametrize(
    ("name", "p"),
    [
        ("log-normal, sigma 0.3", 95),
        ("bimodal 50/50, x 2", 99),
        ("heavy tail (Pareto, 10 %)", 95),
        ("rounds with own levels", 50),
        ("rising 30% over 40 rounds", 95),
        ("autocorrelated, 1 rounds", 95),
        ("autocorrelated 0.05 + noise, 4 rounds", 50),
        ("10% slow, 0.1 rounds, all time", 95),
        ("50% slow, 4 rounds", 95),
    ],
)
def test_stated_bounds_hold(bench: ModuleType, name: str, p: int) -> None:
    row = bench.simulate(case(bench, name, p), TRIALS, seed=1)
    assert row.decided > 0.3
    error = 2 * (0.95 * 0.05 / (TRIALS * row.decided)) ** 0.5
    assert min(row.lower, row.upper) >= 0.95 - error
    assert row.wrong <= 0.05 + error
    if row.case.independent:
        assert row.decided >= 0.95
        assert row.unsteady <= 0.02


def test_naive_bounds_do_not(bench: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """The simulation would notice: exact bounds of independent samples, 95 % at every look, no check of steadiness."""

    def naive(rounds: np.ndarray, limits: dict[int, int], look: int) -> Decision:
        found = decide(rounds, limits, look)
        ((p, limit),) = limits.items()
        interval = percentile.interval(rounds.ravel(), p)
        verdict = at_most("", limit, interval).verdict
        steady = found.steadiness.__class__(**{**vars(found.steadiness), "problems": ()})
        return Decision(look, 0.95, {p: interval}, steady, None if verdict == "inconclusive" else verdict, 0)

    monkeypatch.setattr(bench, "decide", naive)
    row = bench.simulate(case(bench, "autocorrelated, 4 rounds", 95), 60, seed=1)
    assert min(row.lower, row.upper) < 0.8
    assert row.missed() == ["lower bound", "upper bound"]


@pytest.mark.parametrize("p", [50, 95])
def test_the_truth_of_each_machine_is_what_it_draws(bench: ModuleType, p: int) -> None:
    for each in bench.CASES:
        if each.p != p or "autocorrelated" in each.name or "all time" in each.name:
            continue
        machines = each.build(np.random.default_rng(0), 40)
        trials = np.arange(40)
        drawn = machines.draw(trials, 40).reshape(40, -1)
        truth = bench.quantile(machines.shares(trials, 40), p)
        assert np.mean(drawn <= np.reshape(truth, (-1, 1))) == pytest.approx(p / 100, abs=0.02), each.name


def test_the_autoregression_forgets_within_its_time(bench: ModuleType) -> None:
    machines = bench.Autocorrelated(np.random.default_rng(0), 2000, rounds=1, wander=0.2)
    first, second = (np.log(machines.draw(np.arange(2000), 1))[:, 0] for _ in range(2))
    assert np.std(first) == pytest.approx(0.2, rel=0.1)
    assert np.corrcoef(first[:, 0], second[:, 0])[0, 1] == pytest.approx(np.exp(-1), abs=0.08)


def test_it_is_a_command() -> None:
    done = subprocess.run([sys.executable, str(BENCH / "statistics.py"), "--help"], capture_output=True, text=True)
    assert done.returncode == 0
    assert "--trials" in done.stdout


def test_it_does_not_hide_the_standard_library_from_its_neighbours() -> None:
    code = f"import sys; sys.path.insert(0, {str(BENCH)!r}); import statistics as s; print(s.median([1, 2, 9]))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "2", done.stderr
