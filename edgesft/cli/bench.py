"""`edgesft bench MODEL … [a.b=c …]`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from edgesft.errors import InputError
from edgesft.spec.profile import Scenario

if TYPE_CHECKING:
    from rich.console import RenderableType

    from edgesft.measure.bench.order import Order
    from edgesft.progress import Progress
    from edgesft.spec.profile import ProfileSpec

EXIT_CODES = {"pass": 0, "fail": 1, "inconclusive": 3}
UNAVAILABLE = 4
PIPELINE = "pipeline."
"""Settings that are the pipeline's, and not the profile's, begin so."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument(
        "words", nargs="+", metavar="MODEL|a.b=c", help="ONNX or ORT files, and values that replace the profile's"
    )
    parser.add_argument("--profile", default="this-machine", help="device profile or its file (default: %(default)s)")
    parser.add_argument("--provider", action="append", metavar="X", help="execution provider; may be repeated")
    parser.add_argument("--scenario", choices=get_args(Scenario), help="how the requests come")
    parser.add_argument("--inputs", type=Path, help="npz file of requests; raw rows for end-to-end")
    parser.add_argument("--axis", action="append", metavar="NAME=N", help="size of a free axis, for random inputs")
    parser.add_argument("--batch", type=int, default=1, metavar="N", help="rows of a request")
    parser.add_argument("--state", action="append", metavar="IN=OUT", help="an output that is fed back into an input")
    parser.add_argument("--pipeline", help="end-to-end: text, image or a Python file")
    parser.add_argument("--reference", type=Path, metavar="MODEL", help="model whose answers are the right ones")
    parser.add_argument("--explain", action="store_true", help="say where the time goes and what to try")
    parser.add_argument("--aa", action="store_true", help="measure the model against itself: this machine's noise")
    parser.add_argument("--allow-cpu", action="store_true", help="a provider may leave every node to the CPU")
    parser.add_argument("--python", type=Path, metavar="EXE", help="interpreter whose onnxruntime measures")
    parser.add_argument("--time-limit", type=_positive, default=900.0, metavar="S", help="longest wait for an answer")
    parser.add_argument(
        "--seed", type=_natural, default=0, metavar="N", help="of random inputs and of the order within rounds"
    )
    parser.add_argument("--format", choices=("table", "json"), default="table", help="what to print")
    parser.add_argument("--quiet", action="store_true", help="no progress on standard error")


def main(options: argparse.Namespace) -> int:
    """Measures the models, prints what was found, and answers with the verdict's exit code."""
    from edgesft.measure.bench.bench import bench
    from edgesft.progress import Progress
    from edgesft.report import bench as report

    order, progress = _order(options), Progress(quiet=options.quiet)
    if options.aa:
        return _noise(order, progress, options.format)
    rows = bench(order, progress)
    found = report.to_json(rows, order.profile)
    _print(found, report.tables(found), options.format)
    return UNAVAILABLE if any(row.problem for row in rows) else EXIT_CODES[found["verdict"]]


def _noise(order: Order, progress: Progress, form: str) -> int:
    from edgesft.measure.bench.noise import noise
    from edgesft.report import noise as report

    found = report.to_json(noise(order, progress))
    _print(found, report.tables(found), form)
    return 0


def _order(options: argparse.Namespace) -> Order:
    from edgesft.measure import providers
    from edgesft.measure.bench.order import Order
    from edgesft.spec.profile import ProviderSpec

    models = [Path(word) for word in options.words if "=" not in word or Path(word).exists()]
    settings = [word for word in options.words if Path(word) not in models]
    if not models:
        raise InputError("model must be an ONNX or ORT file, got none", "edgesft bench model.onnx")
    profile = _profile(options, [word for word in settings if not word.startswith(PIPELINE)])
    of_profile = {provider.name: provider for provider in profile.providers}
    asked = [providers.resolve(name) for name in options.provider or [profile.providers[0].name]]
    if options.batch < 1:
        raise InputError(f"--batch must be at least 1, got {options.batch}")
    axes = _pairs(options.axis, "axis", "--axis sequence=64")
    return Order(
        models=models,
        profile=profile,
        providers=[of_profile.get(name, ProviderSpec(name=name)) for name in dict.fromkeys(asked)],
        inputs=options.inputs,
        axes={name: _size(name, size) for name, size in axes.items()},
        batch=options.batch,
        states=_pairs(options.state, "state", "--state h=hn") if options.state else None,
        pipeline=options.pipeline,
        pipeline_settings=[word.removeprefix(PIPELINE) for word in settings if word.startswith(PIPELINE)],
        reference=options.reference,
        allow_cpu=options.allow_cpu,
        explain=options.explain,
        python=_interpreter(options.python),
        time_limit=options.time_limit,
        seed=options.seed,
    )


def _profile(options: argparse.Namespace, settings: list[str]) -> ProfileSpec:
    """The profile; what ships as typical of a device is no budget of this model unless it is asked for."""
    from edgesft.spec import load

    scenario = [f"measure.scenario={options.scenario}"] if options.scenario else []
    own = load.is_file(options.profile)
    return load.profile(options.profile, settings=[*scenario, *settings], without=() if own else ("budget",))


def _pairs(words: list[str] | None, name: str, example: str) -> dict[str, str]:
    """`a=b` words as a mapping; a name may have a `=` in it, as it is the model's."""
    pairs = [word.rpartition("=") for word in words or []]
    if wrong := ["".join(pair) for pair in pairs if not all(pair)]:
        raise InputError(f"{name} must be a name and a value, got {', '.join(wrong)}", example)
    names = [left for left, _, _ in pairs]
    if twice := [left for left in dict.fromkeys(names) if names.count(left) > 1]:
        raise InputError(f"{name} must be given once for each name, got {', '.join(twice)} more than once", example)
    return {left: right for left, _, right in pairs}


def _interpreter(path: Path | None) -> Path | None:
    """A file by its whole path, for a bare name is looked for where the shell looks; links of environments stay."""
    return path.absolute() if path and path.is_file() else path


def _size(name: str, text: str) -> int:
    if not text.isdecimal():
        raise InputError(f"axis '{name}' must be a whole number, got {text!r}", f"--axis {name}=64")
    return int(text)


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a number above 0, got {text!r}")
    return value


def _natural(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"must be a whole number from 0 on, got {text!r}")
    return int(text)


def _print(found: Mapping[str, Any], tables: RenderableType, form: str) -> None:
    if form == "json":
        print(json.dumps(found, indent=1))
        return
    from rich.console import Console

    from edgesft.report.table import WIDTH

    Console(width=None if sys.stdout.isatty() else WIDTH).print(tables)
