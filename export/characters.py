"""Writes what the kits' tokenizers must know of characters, as the library tokenizers has it.

`python export/characters.py` writes `python/kit/tokens/characters.py` and `cpp/kit/characters.hpp`. The library's
tables are of several old versions of Unicode, which no other program has: each character is asked for, and what comes
out is what the kits go by. It takes tokenizers, whose answers these are, and ten seconds.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path

from tokenizers import normalizers, pre_tokenizers

HERE = Path(__file__).parent

POINTS = [point for point in range(0x110000) if not 0xD800 <= point < 0xE000]

HANGUL = range(0xAC00, 0xD7A4)
"""Syllables, which are taken apart by a formula (The Unicode Standard, section 3.12)."""

KINDS = {
    "BLANK": "What cleaning makes a space of.",
    "SPACE": "What words are parted at, and gone.",
    "REMOVED": "What cleaning takes away.",
    "MARKS": "What stripping accents takes away.",
    "COMBINING": "What the normaliser StripAccents takes away.",
    "PUNCTUATION": "What is a word of its own.",
    "HAN": "What spaces are put around.",
    "LOWERED": "What has another lower case.",
    "DECOMPOSED": "What the canonical decomposition (NFD) takes apart, but for Hangul.",
    "ORDERED": "What it puts in order among its neighbours.",
}


def bert(**options: bool) -> normalizers.BertNormalizer:
    """A normaliser that does these alone."""
    usual = {"clean_text": False, "handle_chinese_chars": False, "strip_accents": False, "lowercase": False}
    return normalizers.BertNormalizer(**{**usual, **options})


def kinds() -> dict[str, list[int]]:
    """The characters of each kind."""
    cleaned = {point: bert(clean_text=True).normalize_str(chr(point)) for point in POINTS}
    parted = {point: pre_tokenizers.BertPreTokenizer().pre_tokenize_str(f"a{chr(point)}b") for point in POINTS}
    nfd, lower = normalizers.NFD().normalize_str, normalizers.Lowercase().normalize_str
    marks, combining = bert(strip_accents=True).normalize_str, normalizers.StripAccents().normalize_str
    han = bert(handle_chinese_chars=True).normalize_str
    return {
        "BLANK": [point for point in POINTS if cleaned[point] == " "],
        "SPACE": [point for point in POINTS if [word for word, _ in parted[point]] == ["a", "b"]],
        "REMOVED": [point for point in POINTS if not cleaned[point]],
        "MARKS": [point for point in POINTS if not marks(chr(point))],
        "COMBINING": [point for point in POINTS if not combining(chr(point))],
        "PUNCTUATION": [point for point in POINTS if len(parted[point]) == 3],
        "HAN": [point for point in POINTS if han(chr(point)) != chr(point)],
        "LOWERED": [point for point in POINTS if lower(chr(point)) != chr(point)],
        "DECOMPOSED": [point for point in POINTS if point not in HANGUL and nfd(chr(point)) != chr(point)],
        "ORDERED": [point for point in POINTS if is_ordered(point)],
    }


def is_ordered(point: int) -> bool:
    """Whether the library knows that a character combines, and so puts it in order with one of another class."""
    own = unicodedata.combining(chr(point))
    # U+0315 is of class 232, U+0327 of 202: one of them stands wrongly beside whatever it is.
    return bool(own) and any(
        normalizers.NFD().normalize_str(text) != text for text in (f"a\u0315{chr(point)}", f"a{chr(point)}\u0327")
    )


def ranges(points: Iterable[int]) -> Iterator[tuple[int, int]]:
    """First and last of each run."""
    run: list[int] = []
    for point in points:
        if run and point != run[-1] + 1:
            yield run[0], run[-1]
            run = []
        run.append(point)
    if run:
        yield run[0], run[-1]


def lines(words: Iterable[str], before: str, width: int) -> Iterator[str]:
    """Words in lines that are not longer than that."""
    line = before
    for word in words:
        if len(line) + len(word) + 1 > width:
            yield line.rstrip()
            line = before
        line += f"{word} "
    yield line.rstrip()


def python(found: dict[str, list[int]]) -> str:
    """The module of the kit in Python."""
    text = '"""Characters as the library tokenizers knows them, written by export/characters.py."""\n'
    for name, what in KINDS.items():
        words = [f"{first:x}-{last:x}" if last > first else f"{first:x}" for first, last in ranges(found[name])]
        text += f'\n{name} = """\n' + "\n".join(lines(words, "", 120)) + f'\n"""\n"""{what}"""\n'
    return text


MAPPED = {
    "LOWER": "First, last and step of characters, and the lower case of the first; the others' are as far off.",
    "PLAIN": "What is left of a character that the canonical decomposition takes apart, without its marks.",
    "ORDER": "Classes of those that are put in order and are no marks.",
}
"""What C++ must be told besides, which has no tables of its own."""


def lowered(found: dict[str, list[int]]) -> Iterator[str]:
    """`41-5a/1=61`: the lower case of each."""
    runs: list[tuple[int, int, int, str]] = []
    for point in found["LOWERED"]:
        to = normalizers.Lowercase().normalize_str(chr(point))
        if runs and len(to) == len(runs[-1][3]) == 1:
            first, last, step, base = runs[-1]
            if (step or point - last) == point - last <= 2 and ord(to) - ord(base) == point - first:
                runs[-1] = (first, point, point - last, base)
                continue
        runs.append((point, point, 0, to))
    for first, last, step, to in runs:
        yield f"{first:x}-{last:x}/{step or 1}={hexes(to)}"


def mapped(found: dict[str, list[int]]) -> dict[str, list[str]]:
    """The words of each of `MAPPED`."""
    strip, marks = bert(strip_accents=True).normalize_str, set(found["MARKS"])
    ordered = ranges(point for point in found["ORDERED"] if point not in marks)
    return {
        "LOWER": list(lowered(found)),
        "PLAIN": [f"{point:x}={hexes(strip(chr(point)))}" for point in found["DECOMPOSED"] if point not in marks],
        "ORDER": [
            f"{point:x}={unicodedata.combining(chr(point)):x}"
            for first, last in ordered
            for point in range(first, last + 1)
        ],
    }


def hexes(text: str) -> str:
    """The characters of a text, in hexadecimal with dots between them."""
    return ".".join(f"{ord(letter):x}" for letter in text)


def cpp(found: dict[str, list[int]]) -> str:
    """The header of the kit in C++; a kit in Python takes what these are made of from Python."""
    own = [name for name in KINDS if name not in ("COMBINING", "LOWERED", "DECOMPOSED")]
    words = {name: [f"{first:x}-{last:x}" for first, last in ranges(found[name])] for name in own}
    text = "// Characters as the library tokenizers knows them, written by export/characters.py.\n#pragma once\n\n"
    text += "namespace edgesft::characters {\n"
    for name, each in (words | mapped(found)).items():
        rows = "\n".join(f'    "{line} "' for line in lines(each, "", 112))
        text += f"\n/// {KINDS.get(name) or MAPPED[name]}\nconstexpr const char {name}[] =\n{rows};\n"
    return f"{text}\n}}  // namespace edgesft::characters\n"


def main() -> None:
    """Writes the files."""
    found = kinds()
    (HERE / "python" / "kit" / "tokens" / "characters.py").write_text(python(found), "utf-8")
    (HERE / "cpp" / "kit" / "characters.hpp").write_text(cpp(found), "utf-8")


if __name__ == "__main__":
    main()
