"""How many tokens a second the kits in Python, in C++ and for Node.js say of a bundle, beside edgesft's own decoder.

`python bench/writing.py RUN BUNDLE` answers prompts with each by turns, greedily, on one thread, and holds the answers
against each other; what is timed are the tokens after the first. RUN is the folder that BUNDLE was packed of; what is
asked are short texts of a column of rows. `make kits` brings what Node.js needs, `make .providers/headers/.ready` what
C++ does; without it that kit is left out.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from edgesft.budget.percentile import percentile
from edgesft.budget.ratio import ratio
from edgesft.measure.generation import Speaker
from edgesft.resources import folder

MOST, LONGEST, NS_PER_S = 64, 120, 1e9
"""Tokens of an answer, and characters of a prompt."""


Rounds = Sequence[Sequence[int]]

Answers = list[dict[str, Any]]
"""Of each prompt its tokens, and nanoseconds of the first and of those after it."""


def own(run: Path) -> Callable[[Sequence[str]], Answers]:
    """Edgesft's decoder."""
    speaker = Speaker.of(run)
    return lambda prompts: [vars(speaker.say(each, MOST).answer) for each in prompts]


def in_python(bundle: Path) -> Callable[[Sequence[str]], Answers]:
    """The kit in Python, which is no part of the package."""
    sys.path.insert(0, str(folder("export") / "python"))
    import kit

    opened = kit.open_bundle(bundle, ["CPUExecutionProvider"])
    column = opened.bundle.contract["preparation"]["columns"][0]
    return lambda prompts: [vars(opened.say({column: each}, MOST)) for each in prompts]


def in_node(bundle: Path, packages: Path, place: Path) -> Callable[[Sequence[str]], Answers]:
    """The kit for Node.js, a process a turn."""
    for name in ("js", "node"):
        shutil.copytree(folder("export") / name, place / name)
    (place / "node_modules").symlink_to(packages / "node_modules")
    return by_command(["node", place / "node" / "kit.mjs"], bundle, place)


def in_cpp(bundle: Path, headers: Path, place: Path) -> Callable[[Sequence[str]], Answers]:
    """The kit in C++, built as its Makefile does, on this onnxruntime's library; a process a turn."""
    import onnxruntime

    target = place / "built"
    source = folder("export") / "cpp"
    build = ["make", "-C", source, f"HEADERS={headers}", f"OUT={target}", target / "kit"]
    subprocess.run([str(word) for word in build], check=True, stdout=subprocess.DEVNULL)
    library = next(Path(onnxruntime.__file__).parent.glob("capi/libonnxruntime.so*"))
    return by_command([target / "kit", "--runtime", library], bundle, place)


def by_command(program: Sequence[Any], bundle: Path, place: Path) -> Callable[[Sequence[str]], Answers]:
    """A kit that is a program: it is given rows, and prints an answer a line."""
    column = json.loads((bundle / "contract.json").read_bytes())["preparation"]["columns"][0]
    asked = place / "rows.jsonl"
    command = [*program, bundle, "--file", asked, "--max-tokens", MOST]

    def answers(prompts: Sequence[str]) -> Answers:
        asked.write_text("".join(json.dumps({column: each}) + "\n" for each in prompts), "utf-8")
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=True)
        return [json.loads(line) for line in done.stdout.splitlines()]

    return answers


def told(name: str, taken: Rounds, theirs: Rounds, firsts: Sequence[int]) -> None:
    """Tokens a second, one over the median time of a token; against edgesft's in the same rounds with bounds (95 %,
    one-sided each), which hold on a machine that has other things to do.
    """
    every = [ns for each in taken for ns in each]
    pace = f"{NS_PER_S / percentile(every, 50):.0f} tokens/s, n = {len(every)}"
    apart = ratio(taken, theirs, 50)
    low, high = (1 / each if each else float("nan") for each in (apart.upper, apart.lower))
    first = f"first token {percentile(firsts, 50) / 1e6:.2f} ms, n = {len(firsts)}"
    print(f"{name:8} {pace}; {1 / apart.value:.3f} of edgesft's [{low:.3f}, {high:.3f}]; {first}")


def main() -> int:
    """Answers, and says whether all say the same."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("bundle", type=Path, help="a folder")
    parser.add_argument("--rows", type=Path, required=True, help="JSON lines")
    parser.add_argument("--column", default="instruction", help="that asks")
    parser.add_argument("--prompts", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--packages", type=Path, default=Path(".kits/node"))
    parser.add_argument("--headers", type=Path, default=Path(".providers/headers"))
    options = parser.parse_args()
    every = [json.loads(line)[options.column] for line in options.rows.read_text("utf-8").splitlines()]
    prompts = list(dict.fromkeys(each for each in every if len(each) <= LONGEST))[: options.prompts]
    with tempfile.TemporaryDirectory() as place:
        sides = {"edgesft": own(options.run), "python": in_python(options.bundle)}
        if (options.headers / "onnxruntime_c_api.h").is_file():
            sides["c++"] = in_cpp(options.bundle.absolute(), options.headers.absolute(), Path(place))
        if (options.packages / "node_modules").is_dir():
            sides["node"] = in_node(options.bundle.absolute(), options.packages.absolute(), Path(place))
        steps: dict[str, list[list[int]]] = {name: [] for name in sides}
        firsts: dict[str, list[int]] = {name: [] for name in sides}
        same = True
        for number in range(options.rounds + 1):
            found = {name: answer(prompts) for name, answer in sides.items()}
            same &= all(
                [each["tokens"] for each in one] == [each["tokens"] for each in found["edgesft"]]
                for one in found.values()
            )
            for name, answers in found.items() if number else ():  # The first round warms up.
                steps[name].append([ns for each in answers for ns in each["step_ns"]])
                firsts[name] += [each["first_ns"] for each in answers]
    for name in sides:
        told(name, steps[name], steps["edgesft"], firsts[name])
    print(f"{len(prompts)} prompts: {'all say the same' if same else 'THEY DIFFER'}")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
