"""`python -m kit BUNDLE`: what it is, its answers, its golden rows, its latency.

Exit codes are edgesft's: 0 holds, 1 the bundle is broken or answers otherwise, 2 bad input, 4 this device cannot do it.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import kit
from kit.errors import InputError, KitError

TEXTS = ("text", "words", "text-pair", "conversation", "symbols")

LINES = (*TEXTS, "items")
"""Kinds whose rows are JSON lines."""

CLOSED = 141
"""Exit code where whoever read the output has gone: that of a shell for SIGPIPE, as edgesft has it."""

SHOWN = 200
"""Labels that are named before it says how many more there are; a catalogue has thousands."""


def arguments() -> argparse.ArgumentParser:
    """The command line; what concerns measuring is as `agent.py` has it."""
    parser = argparse.ArgumentParser(
        prog="kit", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bundle", help="folder or archive")
    parser.add_argument("--text", action="append", default=[], help="a text to answer, or a passage")
    parser.add_argument("--question", help="that the passage answers")
    parser.add_argument(
        "--file", action="append", default=[], help="picture, sound, npz of arrays, or rows as JSON lines"
    )
    parser.add_argument("--output", type=Path, help="WAV file of what a model makes of a sound, or says")
    parser.add_argument("--speaker", help="who says a text, where the model has several voices")
    parser.add_argument("--tempo", type=float, default=1.0, help="how many times as fast as usual it is said")
    parser.add_argument("--system", help="what is said before a prompt")
    parser.add_argument("--max-tokens", type=int, default=128, help="of an answer that is said token by token")
    parser.add_argument("--temperature", type=float, default=0.0, help="0 takes the likeliest token")
    parser.add_argument("--top-k", type=int, default=0, help="draw from the K likeliest; 0 is all")
    parser.add_argument("--top-p", type=float, default=1.0, help="draw from the likeliest with this share")
    parser.add_argument("--seed", type=int, default=0, help="the same one draws the same tokens")
    parser.add_argument("--raw", action="store_true", help="take the raw model, which needs nothing of this kit")
    parser.add_argument("--golden", action="store_true", help="hold the golden rows against the answers here")
    parser.add_argument("--measure", action="store_true", help="print latency as JSON lines")
    parser.add_argument(
        "--provider",
        action="append",
        default=[],
        help="as ONNX Runtime spells it, the best first; NAME:soc_model=57 with options",
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--samples", type=int, default=300, help="least number of timed inferences")
    parser.add_argument("--seconds", type=float, default=5.0, help="least time spent on them")
    parser.add_argument("--rounds", type=int, default=20, help="that they are spread over")
    parser.add_argument("--warmup-seconds", type=float, default=5.0, help="longest warm-up")
    return parser


def rows(preparation: Mapping[str, Any], options: argparse.Namespace) -> Iterator[Mapping[str, Any]]:
    """The raw rows of a command line, by the contract's columns.

    Raises:
        InputError: It has others than the bundle takes.
    """
    kind, columns = preparation["kind"], preparation["columns"]
    if options.text and kind not in TEXTS:
        raise InputError(f"--text must be given to a bundle that reads text, got one that reads {kind}: --file")
    if options.text and (options.question is None) == (kind == "text-pair"):
        raise InputError(f"--question must come with a passage, and with it alone; this bundle reads {kind}")
    who = {"speaker": options.speaker} if options.speaker else {}
    for text in options.text:
        if kind == "symbols":
            yield {"text": text, "tempo": options.tempo, **who}
        elif kind == "conversation":
            before = {"system": options.system} if options.system else {}
            yield {"text": text} if columns == ["text"] else {"prompt": text, **before}
        else:
            yield dict(zip(columns, (text,) if options.question is None else (options.question, text), strict=True))
    for file in options.file:
        yield from _of_file(Path(file), kind, columns)


def _of_file(file: Path, kind: str, columns: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    if kind not in (*LINES, "arrays"):
        yield {columns[0]: str(file)}
        return
    try:
        if kind == "arrays":
            import numpy as np

            with np.load(file, allow_pickle=False) as arrays:
                yield dict(arrays)
            return
        # As in training: only a line feed ends a row, and a byte order mark is none of it.
        for line in file.read_bytes().decode("utf-8-sig").split("\n"):
            if line.strip():
                yield json.loads(line)
    except (OSError, ValueError) as error:
        wanted = "an npz file" if kind == "arrays" else "rows as JSON lines"
        raise InputError(f"--file must be {wanted}, got '{file}': {error}") from error


def shown(answer: Any, output: Path | None) -> str:
    """An answer on one line; sound goes to a file, where there is one."""
    if isinstance(answer, dict) and "samples" in answer:
        from kit import sound

        if output:
            sound.write(output, answer["samples"], answer["rate"])
        answer = {**answer, "samples": len(answer["samples"]), **({"file": str(output)} if output else {})}
    return json.dumps(answer, ensure_ascii=False)


def said_of(opened: Any) -> str:
    """What a bundle is, and what of it this device takes."""
    manifest, contract, model = opened.bundle.manifest, opened.bundle.contract, opened.model
    told = {name: manifest[name] for name in ("name", "version")}
    labels = contract["labels"]
    shown = labels if len(labels) <= SHOWN else [*labels[:SHOWN], f"and {len(labels) - SHOWN} more"]
    told |= {"task": contract["task"], "labels": shown, "reads": contract["preparation"]["kind"]}
    return json.dumps({**told, "variant": model.variant["name"], "provider": model.provider}, ensure_ascii=False)


def run(options: argparse.Namespace) -> int:
    """Does what the options say; 1 where a golden row is answered otherwise."""
    opened = kit.open_bundle(options.bundle, options.provider, options.threads, raw=options.raw)
    given = list(rows(opened.bundle.contract["preparation"], options))
    if options.measure:
        return measured(opened, given, options)
    for place, row in enumerate(given):
        if opened.writer:
            spoken(opened, row, options, streamed=place < len(options.text))
        else:
            print(shown(opened.answer(row), options.output), flush=True)
    if options.golden:
        wrong = list(opened.golden())
        for each in wrong:
            print(each, file=sys.stderr)
        print("the golden rows " + ("are answered otherwise" if wrong else "hold"), file=sys.stderr)
        return 1 if wrong else 0
    if not given:
        print(said_of(opened))
    return 0


def spoken(opened: Any, row: Mapping[str, Any], options: argparse.Namespace, *, streamed: bool) -> None:
    """Prints an answer token by token as it comes, and how fast it came; of a file's rows a line of JSON each."""
    from kit.writer import Sampling

    sampling = Sampling(options.temperature, options.top_k, options.top_p, options.seed)
    if not streamed:
        said = opened.say(row, options.max_tokens, sampling)
        print(json.dumps(vars(said), ensure_ascii=False), flush=True)
        return
    said = opened.say(row, options.max_tokens, sampling, lambda piece: print(piece, end="", flush=True))
    pace = f", {said.tokens_per_second:.0f} tokens/s after it" if said.tokens_per_second else ""
    print()
    told = f"{len(said.tokens)} tokens, ended by {said.end}; first after {said.first_ns / 1e6:.1f} ms{pace}"
    print(told, file=sys.stderr)


def measured(opened: Any, given: Sequence[Mapping[str, Any]], options: argparse.Namespace) -> int:
    """Prints latency on the given rows, or on the golden ones."""
    from kit.measure import Settings, measure, measure_said

    zeros = opened.zeros()
    requests = [{**request.feeds, **zeros} for row in given for request in opened.preparation(row)]
    names = ("threads", "samples", "seconds", "rounds", "warmup_seconds")
    settings = Settings(**{name: getattr(options, name) for name in names})
    requests = requests or opened.rows.inputs
    lines = measure(opened, requests, settings)
    if opened.writer:
        lines = measure_said(opened, requests, options.max_tokens, settings)
    for reply in lines:
        print(json.dumps(reply), flush=True)
    return 0


def main() -> int:
    """Runs the command line."""
    options = arguments().parse_args()
    try:
        return run(options)
    except KitError as error:
        print(f"kit: {error}", file=sys.stderr)
        return error.code
    except BrokenPipeError:
        # Whoever read has seen enough. What is still buffered must not fail once more when the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CLOSED


if __name__ == "__main__":
    sys.exit(main())
