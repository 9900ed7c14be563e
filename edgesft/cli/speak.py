"""`edgesft speak RUN --text … --output …`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of a text-to-speech run")
    parser.add_argument("--text", required=True, help="text to speak; - reads it from standard input")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help="WAV file to write")
    parser.add_argument("--speaker", metavar="NAME", help="voice, if the model has several")
    parser.add_argument("--tempo", type=float, default=1.0, metavar="T", help="speed relative to normal (default: 1)")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="threads of the runtime (default: 1)")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="what to print")


def main(options: argparse.Namespace) -> int:
    """Writes the sound, and prints how long it is and how fast it was made."""
    from edgesft.cli import output
    from edgesft.measure.synthesis import Voice
    from edgesft.store.disk import guarded

    # An earlier sound in the folder may be replaced, what the run left there may not.
    left = [file for file in options.run.glob("*") if file.suffix.lower() != ".wav"]
    output.require(options.output, left, "speech.wav")
    text = sys.stdin.read() if options.text == "-" else options.text
    spoken = Voice.of(options.run, options.threads).say(text, options.speaker, options.tempo)
    with guarded(options.output.absolute().parent):
        spoken.save(options.output)
    if options.format == "json":
        print(json.dumps({"output": str(options.output), **spoken.to_json()}, ensure_ascii=False, indent=1))
        return 0
    left_out = f"; {spoken.skipped} symbols left out that no training row has" if spoken.skipped else ""
    times = f"model {spoken.model_ns / 1e6:.1f} ms, sound of it {spoken.vocoder_ns / 1e6:.1f} ms"
    print(f"{options.output}: {spoken.seconds:.2f} s; {times}, {spoken.real_time_factor:.3f} of its length{left_out}")
    return 0
