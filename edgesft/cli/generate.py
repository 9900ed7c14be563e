"""`edgesft generate RUN --prompt …`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    told = "folder of a text-generation or text-to-text run"
    parser.add_argument("run", type=Path, metavar="RUN", help=told)
    parser.add_argument("--prompt", required=True, help="the prompt; - reads it from standard input")
    parser.add_argument("--system", help="system message before the prompt")
    parser.add_argument(
        "--max-tokens", type=int, default=128, metavar="N", help="maximum length of the answer (default: 128)"
    )
    parser.add_argument(
        "--temperature",
        type=float,
        default=0.0,
        metavar="T",
        help="sampling temperature; 0 always takes the most likely token (default: 0)",
    )
    parser.add_argument(
        "--top-k", type=int, default=0, metavar="K", help="sample from the K most likely tokens (default: all)"
    )
    parser.add_argument(
        "--top-p",
        type=float,
        default=1.0,
        metavar="P",
        help="sample from the most likely tokens with this total probability (default: 1)",
    )
    parser.add_argument("--seed", type=int, default=0, help="random seed (default: 0)")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="threads of the runtime (default: 1)")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="what to print")


def main(options: argparse.Namespace) -> int:
    """Prints the answer as it comes, and on standard error how fast it came."""
    from edgesft.measure.generation import Sampling, Speaker

    sampling = Sampling(options.temperature, options.top_k, options.top_p, options.seed)
    asked = sys.stdin.read() if options.prompt == "-" else options.prompt
    messages = [{"role": "system", "content": options.system}] if options.system else []
    messages.append({"role": "user", "content": asked})
    speaker, plain = Speaker.of(options.run, options.threads), options.format == "text"
    said = speaker.say(messages, options.max_tokens, sampling, _show if plain else lambda _: None)
    if not plain:
        print(json.dumps(said.to_json(), ensure_ascii=False, indent=1))
        return 0
    print()
    answer = said.answer
    pace = f", {answer.tokens_per_second:.0f} tokens/s after it" if answer.tokens_per_second else ""
    told = f"{len(answer.tokens)} tokens, ended by {answer.end}; first after {answer.first_ns / 1e6:.1f} ms{pace}"
    print(told, file=sys.stderr)
    return 0


def _show(piece: str) -> None:
    print(piece, end="", flush=True)
