from __future__ import annotations

from edgesft.stages.quantize.choose import Figures, choose


def _figures(name: str, p50: int, drop: float, size: int = 25) -> Figures:
    return Figures(name, size, p50, {"accuracy": 0.9 - drop}, drop)


def test_the_fastest_within_the_allowance_wins() -> None:
    choice = choose([_figures("a", 40, 0.0), _figures("b", 30, 0.01), _figures("c", 20, 0.02)], 0.01, 100)
    assert (choice.name, choice.qualified) == ("b", True)
    assert choice.verdicts["a"] == "slower than b"
    assert "drops 0.0200" in choice.verdicts["c"]


def test_a_drop_equal_to_the_allowance_but_for_rounding_is_within() -> None:
    assert choose([_figures("a", 40, 0.9 - 0.89)], 0.01, 100).qualified


def test_none_within_the_allowance_keeps_the_least_drop_among_the_faster() -> None:
    choice = choose([_figures("a", 40, 0.05), _figures("b", 30, 0.06), _figures("c", 120, 0.04)], 0.01, 100)
    assert (choice.name, choice.qualified) == ("a", False)
    assert "beyond the allowance" in choice.verdicts["a"]


def test_none_faster_keeps_the_smallest_within_the_allowance() -> None:
    choice = choose([_figures("a", 110, 0.0, 50), _figures("b", 120, 0.0, 25), _figures("c", 50, 0.1, 9)], 0.01, 100)
    assert choice.name == "b"


def test_a_smaller_file_as_fast_as_before_is_before_a_smallest_that_is_slower() -> None:
    choice = choose(
        [_figures("a", 1100, 0.0, 20), _figures("b", 1005, 0.0, 30), _figures("c", 1010, 0.1, 9)], 0.01, 1000
    )
    assert choice.name == "b" and choice.verdicts["a"] == "slower than b"
    beside = choose([_figures("a", 995, 0.0, 90), _figures("b", 1005, 0.0, 30)], 0.01, 1000)
    assert beside.name == "b", "what is faster by chance is no reason for three times the bytes"


def test_a_hair_of_bytes_is_worth_no_accuracy() -> None:
    choice = choose([_figures("a", 100, 0.009, 2490), _figures("b", 101, 0.0, 2500)], 0.01, 102)
    assert choice.name == "b" and choice.verdicts == {"a": "no better than b", "b": "kept: as fast as a, drops less"}


def test_of_those_as_fast_the_smallest_wins() -> None:
    choice = choose(
        [_figures("a", 1000, 0.0, 25), _figures("b", 1015, 0.0, 20), _figures("c", 1030, 0.0, 9)], 0.01, 2000
    )
    assert choice.name == "b" and choice.verdicts["b"] == "kept: as fast as a, and smaller"
    assert choice.verdicts["a"] == "larger than b" and choice.verdicts["c"] == "slower than b"


def test_what_the_budget_has_no_room_for_is_passed_over() -> None:
    tried = [_figures("a", 40, 0.0, 25_000_000), _figures("b", 50, 0.0, 20_000_000), _figures("c", 45, 0.1, 9_000_000)]
    choice = choose(tried, 0.01, 100, 21e6)
    assert choice.name == "b" and choice.verdicts["a"] == "larger than the budget's 21.0 MB"
    assert "drops" in choice.verdicts["c"]
    assert choose(tried, 0.01, 100, 19e6).name == "a", "none that holds is small enough"


def test_ties_go_to_the_earlier() -> None:
    assert choose([_figures("a", 40, 0.0), _figures("b", 40, 0.0)], 0.01, 100).name == "a"
