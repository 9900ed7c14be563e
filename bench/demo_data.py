"""A small real data set for trying edgesft out: which language is this short text in?

    python bench/demo_data.py OUT_DIR

writes train.jsonl and test.jsonl with the columns `text` and `label`. The texts are names and phrases that Unicode's
CLDR project translates into every language: territories, languages, scripts, currencies, units, time zones, cities,
months, phrases such as "in three weeks". They are read from the Babel package, so nothing is downloaded; the same
Babel version gives the same bytes. CLDR data are under the Unicode License v3.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

LANGUAGES = tuple(
    [
        "cs",
        "da",
        "de",
        "en",
        "es",
        "et",
        "fi",
        "fr",
        "hr",
        "hu",
        "it",
        "lt",
        "lv",
        "nb",
        "nl",
        "pl",
        "pt",
        "ro",
        "sv",
        "tr",
    ]
)
ROWS_PER_LANGUAGE = 500
TEST_SHARE = 0.15
LONGEST_CHARACTERS = 80

SECTIONS = {
    "territories": ("territory", 1),
    "languages": ("language", 1),
    "scripts": ("script", 1),
    "currency_names": ("currency", 1),
    "currency_names_plural": ("currency", 1),
    "unit_patterns": ("unit", 1),
    "unit_display_names": ("unit", 1),
    "date_fields": ("date", 1),
    "time_zones": ("zone", 1),
    "meta_zones": ("zone", 1),
    "months": ("month", -1),
    "days": ("day", -1),
    "day_periods": ("period", -1),
    "quarters": ("quarter", -1),
    "eras": ("era", -1),
}
"""Section of the locale data → (topic, which part of an entry's path names its subject)."""

_SHORT = re.compile(r"(^|-)(short|narrow|abbreviated)$")
_NOISE = re.compile(r"\{\d\}|\([^)]*\)|\[[^]]*\]|[\u200e\u200f\u00ad]")
_LETTER = re.compile(r"[^\W\d_]")
_BLANKS = re.compile(r"\s+")

Trail = tuple[Any, ...]


def leaves(node: Any, path: Trail = ()) -> Iterator[tuple[Trail, str]]:
    """Every text of a tree of mappings with the path to it."""
    if isinstance(node, str):
        yield path, node
    elif isinstance(node, Mapping):
        for name in node:
            yield from leaves(node[name], (*path, name))


def clean(text: str) -> str | None:
    """The text without placeholders and remarks in brackets, or None where little is left."""
    text = _BLANKS.sub(" ", _NOISE.sub("", text)).strip(" .,:;/-–·")
    return text if len(_LETTER.findall(text)) >= 3 and len(text) <= LONGEST_CHARACTERS else None


def entries(language: str) -> dict[str, tuple[str, str]]:
    """Case-folded text → (text as written, its subject) of one language, written-out forms only."""
    from babel import localedata

    raw_data: dict[str | int | None, Any] = dict(localedata.load(language).items())
    data = localedata.LocaleDataDict(raw_data)
    found: dict[str, tuple[str, str]] = {}
    for section, (topic, place) in SECTIONS.items():
        for path, raw in leaves(data[section], (section,)):
            text = clean(raw)
            if text and not any(_SHORT.search(str(part)) for part in path):
                found.setdefault(text.casefold(), (text, f"{topic} {path[place]}"))
    return found


def draw(text: str) -> float:
    """A number in [0, 1) that depends on the text alone: the same on every machine."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64


def build() -> dict[str, list[dict[str, str]]]:
    """Rows of `train` and `test`.

    Texts that two languages share are left out. A subject (one currency, one unit) is wholly in train or wholly in
    test, in all languages, so that no test row is the plural of a training row.
    """
    by_language = {language: entries(language) for language in LANGUAGES}
    spread = Counter(folded for found in by_language.values() for folded in found)
    rows: dict[str, list[dict[str, str]]] = {"train": [], "test": []}
    for language, found in by_language.items():
        own = [(text, subject) for folded, (text, subject) in found.items() if spread[folded] == 1]
        own.sort(key=lambda item: (draw(f"{language} {item[0]}"), item))
        for text, subject in own[:ROWS_PER_LANGUAGE]:
            split = "test" if draw(subject) < TEST_SHARE else "train"
            rows[split].append({"text": text, "label": language})
    for chosen in rows.values():
        chosen.sort(key=lambda row: draw(f"{row['label']} {row['text']} order"))
    return rows


def main() -> None:
    """Writes both files and prints how many rows of each language they hold."""
    parser = argparse.ArgumentParser(description="Writes a language identification data set: train.jsonl, test.jsonl.")
    parser.add_argument("folder", type=Path, metavar="OUT_DIR")
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in build().items():
        lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (folder / f"{name}.jsonl").write_text("".join(lines), "utf-8", newline="\n")
        counts = Counter(row["label"] for row in rows)
        print(f"{name}: {len(rows)} rows; " + ", ".join(f"{label} {counts[label]}" for label in LANGUAGES))


if __name__ == "__main__":
    main()
