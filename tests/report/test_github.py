"""What a gate found as workflow commands, undone as the runner undoes them."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from edgesft.report.github import MOST, github, summary
from tests.report.gates import check, compare, line, unlimited


def heard(command: str) -> tuple[str, dict[str, str], str]:
    """What the runner makes of a line (actions/runner, ActionCommand)."""
    name, told, message = re.fullmatch(r"::(\w+) (.*?)::(.*)", command).groups()
    pairs = dict(pair.split("=", 1) for pair in told.split(","))
    undo = [("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")]
    for mark, plain in undo:
        pairs = {key: value.replace(mark, plain) for key, value in pairs.items()}
        message = message.replace(mark, plain) if plain not in ":," else message
    return name, pairs, message


def test_a_command_a_line_that_is_not_plainly_good() -> None:
    found = [heard(command) for command in github(check())]
    assert [name for name, _, _ in found] == ["error", "warning", "warning", "notice"]
    assert found[0] == (
        "error",
        {"file": "ci/budget.yaml", "line": "6", "title": "edgesft: size_mb of model.onnx"},
        "size_mb: got 12, the limit is 10",
    )
    assert found[3][1] == {"title": "edgesft: max_growth.size of model.onnx"}
    assert found[3][2].endswith("accepted: the new head, until 2030-03-01")


def test_what_is_only_shown_is_no_annotation() -> None:
    assert [heard(command)[1]["title"] for command in github(compare())] == ["edgesft: latency.p50 of new.onnx"]
    assert github(unlimited()) == []


def test_escapes() -> None:
    reason = "100 %, a: b,\r\n::error::%0A forged\x1b"
    (command,) = github(check(line("size_mb", "fail", at=6, file="a,b: 5%.yaml", reason=reason), name="x::y,z=1"))
    assert "\n" not in command and "\r" not in command
    assert "%250A forged" in command and "title=edgesft%3A size_mb of x%3A%3Ay%2Cz=1::" in command
    name, told, message = heard(command.replace("%250A", "%25zero"))
    assert (name, told["file"], told["title"]) == ("error", "a,b: 5%.yaml", "edgesft: size_mb of x::y,z=1")
    assert message.endswith("; 100 %, a: b,\r\n::error::%zero forged\ufffd")


@pytest.mark.parametrize(("count", "told"), [(MOST, MOST), (MOST + 1, MOST), (300, MOST)])
def test_at_most_ten_of_a_kind(count: int, told: int) -> None:
    lines = [line(f"max_growth.x{n}", verdict) for n in range(count) for verdict in ("fail", "inconclusive")]
    commands = github(check(*lines))
    assert Counter(command.split()[0] for command in commands) == {"::error": told, "::warning": told}
    said = [heard(command)[2] for command in commands if "more lines" in command]
    rest = count - MOST + 1
    assert said == (
        [f"{rest} more lines {word}: see the summary of this step" for word in ("failed", "inconclusive")]
        if count > MOST
        else []
    )


def test_the_summary_is_the_page_without_a_marker() -> None:
    text = summary(check())
    assert text.startswith("## ❌ edgesft check failed: model.onnx\n") and "<!--" not in text


def test_the_summary_stays_far_below_a_mebibyte() -> None:
    lines = [line(f"max_growth.x{n}", "fail", reason="😀" * 5000) for n in range(1000)]
    text = summary(check(*lines))
    assert len(text.encode()) < 1 << 20 and "Left out here for length: " in text
