"""What a gate found as a comment on a pull request."""

from __future__ import annotations

import re

from edgesft.report.markdown import LIMIT, escaped, markdown, marker
from tests.report.gates import check, compare, line, unlimited


def rows(text: str) -> dict[str, list[str]]:
    """Cells of the table's rows, as a reader of Markdown splits them."""
    found = [re.split(r"(?<!\\)\|", row)[1:-1] for row in text.splitlines() if row.startswith("|")]
    assert all(len(row) == 5 for row in found)
    return {row[0].strip(): [cell.strip() for cell in row[1:]] for row in found[2:]}


def test_marker_heading_table_and_notes() -> None:
    text = markdown(check())
    assert text.splitlines()[:4] == [
        "<!-- edgesft:edgesft/check:model.onnx -->",
        "## ❌ edgesft check failed: model.onnx",
        "",
        "6 lines: 1 failed, 2 inconclusive, 1 accepted, 2 passed",
    ]
    found = rows(text)
    assert found["latency_ms.p95"] == ["5", "3.5", "3.25 to 3.75", "pass"]
    assert found["size_mb"] == ["10", "12", "–", "**fail**"]
    assert found["nodes"][3] == "**inconclusive**: it was not counted"
    assert found["max_growth.size"][3] == "pass, accepted: the new head, until 2030-03-01"
    details = text.partition("<details>")[2].partition("</details>")[0]
    assert "\n\n- measured here on a board, 4 cores\n" in details and "commit 0123456789ab, 2030-01-02" in details


def test_the_verdict_in_words() -> None:
    assert "edgesft check passed: model.onnx" in markdown(unlimited()) and "|" not in markdown(unlimited())
    assert "edgesft check is inconclusive: model.onnx" in markdown(check(line("nodes", "inconclusive")))
    assert "edgesft compare failed: new.onnx against old.onnx" in markdown(compare())


def test_what_users_name_stays_what_it_is() -> None:
    reason = "a|b\n`c` <img src=x> *d* [e](f) _g_ h_i #1 @someone $x$"
    text = markdown(check(line("size_mb", "fail", reason=reason), name="<b>|m"))
    (cells,) = rows(text).values()
    assert cells[3] == (
        r"**fail**: a\|b \`c\` &lt;img src=x&gt; \*d\* \[e\](f) \_g\_ h_i \#1 @" + "\u200bsomeone \\$x\\$"
    )
    assert "failed: &lt;b&gt;\\|m\n" in text


def test_the_marker_is_one_comment_of_html() -> None:
    mark = marker(check(name="a-->\n<script>--"))
    assert mark.count("-->") == 1 and mark.endswith(" -->") and "\n" not in mark
    assert "--" not in mark.removeprefix("<!--").removesuffix("-->")
    assert marker(check(name="my model-2_b.onnx")) == "<!-- edgesft:edgesft/check:my model-2_b.onnx -->"


def test_too_long_it_loses_what_passed_first_and_says_so() -> None:
    passing = [line(f"operators.{n}", reason="x" * 100) for n in range(400)]
    failing = [line(f"nodes.{n}", "fail", reason="y" * 100) for n in range(300)]
    text = markdown(check(*passing, *failing))
    found = rows(text)
    assert len(text) <= LIMIT and len(text) > LIMIT - 2000
    assert all(f"nodes.{n}" in found for n in range(300)) and 0 < len(found) < 700
    assert f"Left out here for length: {700 - len(found)} lines. The JSON output has them all." in text
    assert text.rstrip().endswith("</details>")


def test_long_reasons_and_notes() -> None:
    text = markdown(check(line("nodes", "fail", reason="|" * 100_000), notes=["n" * 100_000, "short"]))
    assert len(text) <= LIMIT and "…" in rows(text)["nodes"][3] and "Left out here for length: " in text


def test_one_line_of_text() -> None:
    assert escaped("a\r\n\n  b\x00") == "a b\ufffd"
