"""Writes what the kits' tokenizers must know of characters, as the library tokenizers has it.

`python export/characters.py` writes `python/kit/tokens/characters.py` and `cpp/kit/characters.hpp`. The library's
tables are of several old versions of Unicode, which no other program has: each character is asked for, and what comes
out is what the kits go by. It takes tokenizers, whose answers these are, and ten seconds.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path

from tokenizers import Regex, normalizers, pre_tokenizers

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


def words_of(points: Iterable[int]) -> list[str]:
    """Runs in hexadecimal."""
    return [f"{first:x}-{last:x}" if last > first else f"{first:x}" for first, last in ranges(points)]


def python(found: dict[str, list[int]]) -> str:
    """The module of the kit in Python."""
    text = '"""Characters as the library tokenizers knows them, written by export/characters.py."""\n'
    for name, what in KINDS.items():
        text += f'\n{name} = """\n' + "\n".join(lines(words_of(found[name]), "", 120)) + f'\n"""\n"""{what}"""\n'
    return text


MAPPED = {
    "LOWER": "First, last and step of characters, and the lower case of the first; the others' are as far off.",
    "APART": "What the canonical decomposition (NFD) makes of a character, but for Hangul.",
    "COMPOSED": "Which of those the canonical composition (NFC) makes again.",
    "ORDER": "Classes of those that are put in order.",
}
"""What C++ must be told besides, which has no tables of its own."""

CATEGORIES = (
    *("Cc", "Cf", "Co", "Ll", "Lm", "Lo", "Lt", "Lu", "Mc", "Me", "Mn", "Nd", "Nl", "No"),
    *("Pc", "Pd", "Pe", "Pf", "Pi", "Po", "Ps", "Sc", "Sk", "Sm", "So", "Zl", "Zp", "Zs"),
)
"""General categories that patterns name; surrogates are none, and what is in no other is Cn."""


def categorised() -> dict[str, list[str]]:
    """The characters of each general category, as the library's patterns have them."""
    found: dict[str, list[int]] = {name: [] for name in CATEGORIES}
    for name, points in found.items():
        split = pre_tokenizers.Split(Regex(rf"\p{{{name}}}+"), "removed", invert=True)
        # Of one text with all of them its places would take minutes.
        for begin in range(0, len(POINTS), PIECE):
            piece = "".join(map(chr, POINTS[begin : begin + PIECE]))
            points += [ord(letter) for word, _ in split.pre_tokenize_str(piece) for letter in word]
    return {name: words_of(points) for name, points in found.items()}


PIECE = 1 << 12
"""Characters that are asked for at once."""


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
    nfd, nfc = normalizers.NFD().normalize_str, normalizers.NFC().normalize_str
    classes: dict[int, list[int]] = {}
    for point in found["ORDERED"]:
        classes.setdefault(unicodedata.combining(chr(point)), []).append(point)
    return {
        "LOWER": list(lowered(found)),
        "APART": [f"{point:x}={hexes(nfd(chr(point)))}" for point in found["DECOMPOSED"]],
        "COMPOSED": words_of(point for point in found["DECOMPOSED"] if nfc(chr(point)) == chr(point)),
        "ORDER": [f"{word}={own:x}" for own, points in classes.items() for word in words_of(points)],
    }


def hexes(text: str) -> str:
    """The characters of a text, in hexadecimal with dots between them."""
    return ".".join(f"{ord(letter):x}" for letter in text)


def cpp(found: dict[str, list[int]]) -> str:
    """The header of the kit in C++; a kit in Python takes what these are made of from Python."""
    words = {name: words_of(found[name]) for name in KINDS if name not in BESIDES}
    text = "// Characters as the library tokenizers knows them, written by export/characters.py.\n#pragma once\n\n"
    text += "#include <utility>\n\nnamespace edgesft::characters {\n"
    for name, each in (words | mapped(found)).items():
        text += f"\n/// {KINDS.get(name) or MAPPED[name]}\nconstexpr const char {name}[] =\n{quoted(each)};\n"
    text += "\n/// Those of each general category.\nconstexpr std::pair<const char*, const char*> CATEGORIES[] = {\n"
    for name, each in categorised().items():
        text += f'    {{"{name}",\n{quoted(each)}}},\n'
    return f"{text}}};\n\n}}  // namespace edgesft::characters\n"


BESIDES = ("COMBINING", "LOWERED", "DECOMPOSED", "ORDERED")
"""Kinds that C++ has in `MAPPED`, or has no use for."""


def quoted(words: Iterable[str]) -> str:
    """Words as lines of one text in C++."""
    return "\n".join(f'    "{line} "' for line in lines(words, "", 112))


def main() -> None:
    """Writes the files."""
    found = kinds()
    (HERE / "python" / "kit" / "tokens" / "characters.py").write_text(python(found), "utf-8")
    (HERE / "cpp" / "kit" / "characters.hpp").write_text(cpp(found), "utf-8")


if __name__ == "__main__":
    main()
