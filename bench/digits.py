"""How many spoken digits a recogniser knows: those that a synthesiser says, real ones, and real ones' bands made sound.

Both models are runs of this project, trained on real training rows: `edgesft run bench/tasks/words.yaml` and
`edgesft run bench/tasks/digits.yaml`. A synthesiser says a digit alike each time: what varies is who says it, and how
fast.

    python bench/digits.py runs/digits runs/words       (EDGESFT_DATA names the folder of the data sets)
"""

from __future__ import annotations

import argparse
import csv
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnxruntime

from edgesft.data.media.audio import Pipeline, decode, resampled
from edgesft.data.media.medium import File
from edgesft.measure.synthesis import Spoken, Voice
from edgesft.tasks.audio.script import Script

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
TEMPOS = (0.8, 0.9, 1.0, 1.1, 1.25)

Recogniser = Callable[[np.ndarray, int], str]


def recogniser(folder: Path) -> Recogniser:
    """The digit that a run's model hears in samples of a rate."""
    contract = json.loads((folder / "contract.json").read_text("utf-8"))
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_inputs()]
    options = {**contract["options"], "labels": contract["labels"], "inputs": names}
    pipeline, outputs = Pipeline(str(folder), options), [value.name for value in session.get_outputs()]

    def heard(samples: np.ndarray, rate: int) -> str:
        feeds = pipeline.before({"audio": resampled(samples, rate, options["rate"])})
        return str(pipeline.after(dict(zip(outputs, session.run(outputs, feeds), strict=True)))["label"])

    return heard


def recordings(source: Path) -> Iterator[tuple[str, File]]:
    """The digit and the file of each real test row."""
    with (source / "metadata.csv").open(encoding="utf-8") as table:
        for row in csv.DictReader(table):
            if row["split"] == "test":
                yield row["label"], File(source / row["path"])


def share(right: list[bool]) -> str:
    """`97.2 % of 250`."""
    return f"{np.mean(right):.1%} of {len(right)}"


def main() -> None:
    """Prints all of it, and writes the digits at their usual tempo as one sound."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("synthesiser", type=Path, help="folder of the run")
    parser.add_argument("recogniser", type=Path, help="folder of the run")
    given = parser.parse_args()
    voice, heard = Voice.of(given.synthesiser), recogniser(given.recogniser)
    script, real, again = Script(voice.contract.options), list[bool](), list[bool]()
    for label, file in recordings(Path(os.environ["EDGESFT_DATA"]) / "audio_fsdd"):
        samples, rate = decode(str(file))
        real.append(heard(samples.mean(axis=1), rate) == label)
        again.append(heard(script.vocoder.sound(script.mel(file)), script.rate) == label)
    print(f"real test rows: {share(real)} recognised; made of their own bands: {share(again)}")
    right, missed = dict[float, list[bool]](), Counter[str]()
    said = [(tempo, name, digit) for tempo in TEMPOS for name in voice.speakers for digit in range(len(DIGITS))]
    sounds = [voice.say(DIGITS[digit], name, tempo) for tempo, name, digit in said]
    for (tempo, name, digit), sound in zip(said, sounds, strict=True):
        found = heard(sound.samples, sound.rate)
        right.setdefault(tempo, []).append(found == str(digit))
        if found != str(digit):
            missed[f"{name} {digit} as {found}"] += 1
    print(f"synthesised: {share([each for some in right.values() for each in some])} recognised")
    for tempo, some in right.items():
        print(f"  at {tempo:g} times the tempo: {share(some)}")
    print("taken for another: " + (", ".join(f"{what} ({count})" for what, count in missed.most_common()) or "none"))
    for what in ("model_factor", "real_time_factor"):
        factors = [getattr(sound, what) for sound in sounds]
        print(f"{what}: p50 {np.median(factors):.4f}, p95 {np.percentile(factors, 95):.4f} (n = {len(factors)})")
    usual = [sound.samples for (tempo, _, _), sound in zip(said, sounds, strict=True) if tempo == 1]
    pause = np.zeros(script.rate // 4, np.float32)
    place = given.synthesiser / "digits.wav"
    joined = np.concatenate([part for samples in usual for part in (samples, pause)])
    Spoken(joined, script.rate, 0, 0, 0).save(place)
    print(f"to listen to: {place}")


if __name__ == "__main__":
    main()
