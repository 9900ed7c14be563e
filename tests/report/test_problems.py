"""Problems of files for services that show them: places, escapes, limits."""

from __future__ import annotations

import json

from edgesft.errors import Problem
from edgesft.report.github import MOST
from edgesft.report.problems import FINGERPRINT, document, github, rows, sarif

HOSTILE = Problem("50%\n::error::taken", "a,b: c", "we,ird: name%.yaml:7 a.b: c")


def test_a_place_is_taken_apart() -> None:
    found = rows(
        [
            ("recipe.yaml", Problem("bad", None, "profiles/board.yaml:12 machine.cores")),
            ("recipe.yaml", Problem("bad", None, "recipe.yaml:3")),
            ("recipe.yaml", Problem("bad", None, "command line 'seed=x'")),
            ("recipe.yaml", Problem("bad")),
        ]
    )
    assert [(row["file"], row["line"], row["key"]) for row in found] == [
        ("profiles/board.yaml", 12, "machine.cores"),
        ("recipe.yaml", 3, None),
        ("recipe.yaml", None, None),
        ("recipe.yaml", None, None),
    ]


def test_github_reads_no_command_in_what_a_file_says() -> None:
    (line,) = github(rows([("x", HOSTILE)]))
    assert "\n" not in line and line.count("::") == 2 + line.partition("title=edgesft::")[2].count("::")
    assert line.startswith("::error file=we%2Cird%3A name%25.yaml,line=7,title=edgesft::50%25%0A::error::taken")


def test_github_shows_ten_of_a_kind() -> None:
    found = github(rows([("x", Problem(f"bad {n}")) for n in range(MOST + 5)]))
    assert len(found) == MOST and "6 more errors" in found[-1]
    assert len(github(rows([("x", Problem("bad"))] * MOST))) == MOST


def test_a_finding_keeps_its_fingerprint_where_its_line_moves() -> None:
    def prints(where: str, message: str = "bad") -> str:
        (run,) = json.loads(json.dumps(sarif(rows([("a.yaml", Problem(message, "x", where))]))))["runs"]
        (result,) = run["results"]
        assert result["ruleId"] == run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"]
        assert result["message"]["text"] == f"{message}. Try: x"
        return result["partialFingerprints"][FINGERPRINT]

    assert prints("a.yaml:3 seed") == prints("a.yaml:4 seed")
    assert len({prints("a.yaml:3 seed"), prints("a.yaml:3 sead"), prints("a.yaml:3 seed", "worse")}) == 3


def test_what_could_not_be_checked_and_what_stops_nothing() -> None:
    warned, lacks = rows([("a.yaml", Problem("odd"))]), rows([("b.yaml", Problem("no such device"))])
    assert document([], warned, lacks) == {"verdict": "error", "problems": [], "warnings": warned, "missing": lacks}
    assert document(warned, [], lacks)["verdict"] == "fail" and document([], warned, [])["verdict"] == "pass"
    (run,) = sarif([], warned, lacks)["runs"]
    assert [(result["level"], result["message"]["text"]) for result in run["results"]] == [("warning", "odd")]
    (invocation,) = run["invocations"]
    assert not invocation["executionSuccessful"]
    assert invocation["toolExecutionNotifications"][0]["message"]["text"] == "no such device"
    assert github(warned, "warning") == ["::warning file=a.yaml,title=edgesft::odd"]


def test_nothing_wrong_is_a_log_without_results() -> None:
    assert sarif(rows([]))["runs"][0]["results"] == [] and github(rows([])) == []
