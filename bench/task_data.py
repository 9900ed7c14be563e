"""Data of tasks that no set here is for as it comes: made from the rows of other sets, into a folder.

- `slots`: token classification. The sentences of E2E NLG with the values of their meaning representation tagged where
  they stand in the sentence word for word.
- `unseen`: zero-shot. The intents of BANKING77, of which every fourth is left out of training and is all of the test.
- `objects`: arrays. The pictures of CIFAR-10 as its ResNets read them. Every second one of its test is for validation:
  the pretrained nets have seen those of train, and know them by heart as no smaller net can.
- `signs`: arrays. Photographs of hands that sign digits, as the person detector of MLPerf Tiny reads its pictures.
- `keywords`: arrays. Spoken digits as MLPerf Tiny's keyword net reads them: the cepstrum of their first second.
- `voice`: voice activity. Five seconds of noise of ESC-10, into which digits are spoken, and when.

    python bench/task_data.py runs/task-data       (EDGESFT_DATA names the folder of the data sets)
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import re
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from PIL import Image

from edgesft.data.media.audio import resampled

SIDE = 96
"""Pixels of a photograph's side."""

FRAME, HOP, FFT, MELS, CEPSTRUM = 0.04, 0.02, 512, 40, 10
"""Seconds of a frame and between two, points of its spectrum, mel bands, coefficients (MLPerf Tiny's keywords)."""

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SLOT = re.compile(r"([\w ]+)\[([^\]]+)\]")
WORD = re.compile(r"\w+(?:[-'’]\w+)*|£\d+|[^\w\s]")
HELD = 4
"""Every so manieth intent is not trained on."""


def slots(row: dict[str, Any]) -> dict[str, list[str]]:
    """The words of a sentence, and for each the slot that it is part of the value of."""
    words = WORD.findall(row["target"])
    lowered, tags = [word.lower() for word in words], ["O"] * len(words)
    # Longer values first: 'Café Rouge' before 'Rouge'.
    for name, value in sorted(SLOT.findall(row["input"]), key=lambda found: -len(found[1])):
        parts = WORD.findall(value.lower())
        for start in range(len(words) - len(parts) + 1):
            place = range(start, start + len(parts))
            if lowered[start : start + len(parts)] == parts and all(tags[each] == "O" for each in place):
                kind = name.strip().replace(" ", "_")
                tags[start : start + len(parts)] = [f"B-{kind}"] + [f"I-{kind}"] * (len(parts) - 1)
    return {"tokens": words, "tags": tags}


def held_out(labels: Sequence[str]) -> set[str]:
    """Labels that are not trained on."""
    return set(sorted(set(labels))[::HELD])


def objects(archive: Path, split: str) -> dict[str, np.ndarray]:
    """`x`, float32 of shape [pictures, 3, 32, 32], scaled as for ImageNet; the `label` is the folder."""
    pictures, labels = [], []
    with zipfile.ZipFile(archive) as found:
        for name in sorted(found.namelist()):
            if name.startswith(f"{split}/") and name.endswith(".jpg"):
                with found.open(name) as file, Image.open(file) as picture:
                    pictures.append(np.asarray(picture.convert("RGB"), np.float32))
                labels.append(name.split("/")[1])
    x = (np.stack(pictures) / 255 - MEAN) / DEVIATION
    return {"x": x.transpose(0, 3, 1, 2).astype(np.float32), "label": np.asarray(labels)}


def signs(folder: Path) -> dict[str, np.ndarray]:
    """`pixel_values`, float32 of shape [photographs, 3, 96, 96] in [0, 1]; the `label` is the folder."""
    pictures, labels = [], []
    for path in sorted(folder.glob("*/*.JPG")):
        with Image.open(path) as picture:
            small = picture.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR)
        pictures.append(np.asarray(small, np.float32) / 255)
        labels.append(path.parent.name)
    return {"pixel_values": np.stack(pictures).transpose(0, 3, 1, 2), "label": np.asarray(labels)}


def keywords(folder: Path, split: str) -> dict[str, np.ndarray]:
    """`x`, float32 of shape [words, 1, 49, 10], each coefficient with mean 0 and deviation about 1; the `label` is the
    digit.
    """
    with (folder / "metadata.csv").open(encoding="utf-8") as table:
        rows = [row for row in csv.DictReader(table) if row["split"] == split]
    found = [cepstrum(*soundfile.read(folder / row["path"], dtype="float32")) for row in rows]
    return {"x": np.stack(found)[:, None], "label": np.asarray([row["label"] for row in rows])}


def cepstrum(samples: np.ndarray, rate: int) -> np.ndarray:
    """Mel-frequency cepstral coefficients of a second (Davis and Mermelstein 1980); shape [frames, coefficients]."""
    second = np.zeros(rate, np.float32)
    second[: len(samples)] = samples[:rate]
    size, hop = int(FRAME * rate), int(HOP * rate)
    frames = np.lib.stride_tricks.sliding_window_view(second, size)[::hop] * np.hanning(size)
    power = np.abs(np.fft.rfft(frames, FFT)) ** 2
    edges = 700 * (np.expm1(np.linspace(0, np.log1p(rate / 2 / 700), MELS + 2)))
    bins = np.fft.rfftfreq(FFT, 1 / rate)
    rising = (bins[:, None] - edges[:-2]) / np.diff(edges)[:-1]
    falling = (edges[2:] - bins[:, None]) / np.diff(edges)[1:]
    mels = np.log(power @ np.clip(np.minimum(rising, falling), 0, None) + 1e-6)
    waves = np.cos(np.pi / MELS * (np.arange(MELS)[:, None] + 0.5) * np.arange(CEPSTRUM))
    found = mels @ waves / MELS
    return ((found - found.mean(0)) / (found.std(0) + 1e-3)).astype(np.float32)


def voice(source: Path, split: str, out: Path, count: int) -> None:
    """Sounds with noise and up to three digits in them, and a table that says when these are spoken.

    The noises of the two splits are other ones, as are the digits. Both are mixed at 8000 samples a second, which is
    all that the digits have, and brought to the 16000 that models take.
    """
    rng = np.random.default_rng(len(split))
    with (source / "enhance_fsdd_esc" / "mix.csv").open(encoding="utf-8") as table:
        rows = [row for row in csv.DictReader(table) if row["split"] == split]
    noises = sorted({row["noise"] for row in rows})
    (out / split).mkdir(parents=True, exist_ok=True)
    table = ["audio,speech\n"]
    for number in range(count):
        found, rate = soundfile.read(source / "audio_noise_esc" / noises[number % len(noises)])
        sound, spoken, place = resampled(found, rate, 8000), list[list[float]](), 0
        for row in (rows[int(each)] for each in rng.integers(len(rows), size=rng.integers(0, 4))):
            clean, _ = soundfile.read(source / "audio_fsdd" / row["clean"])
            place += int(rng.integers(1000, 8000))
            if place + len(clean) > len(sound):
                break
            power = max(np.square(sound[place : place + len(clean)]).mean(), 1e-6)
            louder = np.sqrt(power * 10 ** (rng.uniform(0, 15) / 10) / np.square(clean).mean())
            sound[place : place + len(clean)] += louder * clean
            spoken.append([place / 8000, (place + len(clean)) / 8000])
            place += len(clean)
        name = f"{split}/{number:03}.flac"
        sound = resampled(sound / max(1.0, float(np.abs(sound).max())), 8000, 16000)
        soundfile.write(out / name, sound.clip(-1, 1), 16000)
        table.append(f'{name},"{json.dumps(spoken)}"\n')
    (out / f"{split}.csv").write_text("".join(table), "utf-8")
    print(f"{out / split}.csv: {count} rows")


def read(path: Path) -> list[dict[str, Any]]:
    """The rows of a JSON lines file."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line]


def write(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Writes rows as JSON lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    print(f"{path}: {len(rows)} rows")


def save(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Writes arrays with a row each."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **arrays)
    print(f"{path}: {len(arrays['label'])} rows")


def main() -> None:
    """Writes all of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder, source = parser.parse_args().folder, Path(os.environ["EDGESFT_DATA"])
    for split in ("train", "dev"):
        rows = [slots(row) for row in read(source / "t2t_e2e_nlg" / f"{split}.jsonl")]
        # Several meaning representations share a sentence; a sentence of train is no test.
        known = {tuple(row["tokens"]) for row in read(folder / "slots/train.jsonl")} if split == "dev" else set()
        seen: dict[tuple[str, ...], dict[str, Any]] = {tuple(row["tokens"]): row for row in rows}
        write(folder / f"slots/{split}.jsonl", [row for words, row in seen.items() if words not in known])
    train, test = (read(source / "intent_banking77" / f"{split}.jsonl") for split in ("train", "test"))
    held = held_out([row["label"] for row in train])
    write(folder / "unseen/train.jsonl", [row for row in train if row["label"] not in held])
    write(folder / "unseen/test.jsonl", [row for row in test if row["label"] in held])
    pictures = objects(source / "image_cifar10" / "cifar10_subset.zip", "test")
    for split, first in (("validation", 0), ("test", 1)):
        save(folder / f"objects/{split}.npz", {name: values[first::2] for name, values in pictures.items()})
    save(folder / "objects/train.npz", objects(source / "image_cifar10" / "cifar10_subset.zip", "train"))
    for split in ("train", "test"):
        save(folder / f"signs/{split}.npz", signs(source / "image_sign_digits" / split))
        save(folder / f"keywords/{split}.npz", keywords(source / "audio_fsdd", split))
        voice(source, split, folder / "voice", 120)


if __name__ == "__main__":
    main()
