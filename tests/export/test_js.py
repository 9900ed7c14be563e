"""The shared JavaScript of the kits against the reference: tokens, pixels, spectra, selection, and every attack."""

from __future__ import annotations

import base64
import io
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesft.data.media import audio, image
from tests import tiny
from tests.export.same import same
from tests.export.script import Probe, RefusedInNode
from tests.ship import runs, test_attacks, test_variant
from tests.ship.conftest import bundle, run  # noqa: F401 - fixtures

NASTY = (
    *("", " ", "\t\n\r", "a", "Hello, World!", "café naïve Ünïcödé ÀÉÎ", "你好世界", "日本語テキスト 한국어", "𠀀𪜀丽"),
    *("😀👨\u200d👩\u200d👧🇩🇪", "\0\x01\x07\x7f\x80\x9f", "[CLS] good [SEP] [MASK][PAD] [UNK]", "[cls] [CLS"),
    *("a" * 100, "a" * 101, "\u200b\u200c\ufeff\u00ad", "\u2028\u2029\u0085\u00a0\u3000", "İstanbul ı ſ ß ẞ Σ σς ΑΣ"),
    *("ǅ ﬁ ½ ² Ⅷ", "e\u0308a\u0301\u0327", "$100 + 5% = ~x^2|`<>", "don't", "हिन्दी ไทย עברית العربية", "\ufffd"),
    *("the film " * 400, "𝔘𝔫𝔦", "\U0010ffff\ue000"),
)  # fmt: skip

IMAGE = {"resize": None, "crop": None, "resample": "bilinear", "colour": "RGB", "scale": None, "mean": None}
IMAGE |= {"std": None, "layout": "NHWC", "dtype": "uint8"}

AUDIO = {"rate": 4000, "seconds": 0.25, "window": "start", "features": "mel", "frame": 0.025, "hop": 0.01, "mels": 20}
AUDIO |= {"low": 20.0, "high": None, "floor": 1e-10, "coefficients": None, "normalise": True}


@pytest.fixture(scope="module")
def probe() -> Iterator[Probe]:
    found = Probe()
    yield found
    found.close()


def unpacked(said: dict[str, Any]) -> np.ndarray:
    return np.frombuffer(base64.b64decode(said["data"]), said["dtype"]).reshape(said["shape"])


def packed(array: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


# Texts ----------------------------------------------------------------------------------------------------------------


def random_texts(count: int) -> list[str]:
    """Letters of many kinds, words, special tokens and spaces in any order."""
    rng = random.Random(0)
    kinds = [
        (0x20, 0x7F),
        (0, 0x250),
        (0x300, 0x370),
        (0x370, 0x700),
        (0x2000, 0x2070),
        (0x4E00, 0x4F00),
        (0x1F300, 0x1F700),
    ]
    words = [*tiny.GOOD, *tiny.FILLER, "[CLS]", "[SEP]", "[MASK]", " ", " "]
    return [
        "".join(
            rng.choice(words) if rng.random() < 0.5 else chr(rng.randrange(*rng.choice(kinds)))
            for _ in range(rng.randint(0, 40))
        )
        for _ in range(count)
    ]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("tokenizer")
    tiny.save_tokenizer(folder)
    return json.loads((folder / "tokenizer.json").read_text("utf-8"))


@pytest.mark.parametrize("split", [False, True])
@pytest.mark.parametrize(("most", "side"), [(10_000, "right"), (7, "right"), (7, "left"), (2, "right")])
def test_tokens(probe: Probe, tokenizer: dict[str, Any], split: bool, most: int, side: str) -> None:
    from tokenizers import Tokenizer

    reference = Tokenizer.from_str(json.dumps(tokenizer))
    reference.encode_special_tokens = split
    reference.enable_truncation(most, direction=side)
    options = {"max_length": most, "truncation_side": side, "split_special_tokens": split}
    texts = [*NASTY, *random_texts(400)]
    got = probe("tokens", tokenizer=tokenizer, options=options, texts=texts)
    for text, mine in zip(texts, got, strict=True):
        theirs = reference.encode(text)
        expected = {"ids": theirs.ids, "attention_mask": theirs.attention_mask, "type_ids": theirs.type_ids}
        assert mine == expected, repr(text)


def test_tokens_that_were_added(probe: Probe, tokenizer: dict[str, Any]) -> None:
    from tokenizers import AddedToken, Tokenizer

    reference = Tokenizer.from_str(json.dumps(tokenizer))
    reference.add_tokens([
        AddedToken("<tab>", lstrip=True, rstrip=True, normalized=False),
        AddedToken("Film", single_word=True, normalized=True),
        AddedToken("é", normalized=True),
        AddedToken("<ta", normalized=False),
    ])  # fmt: skip
    options = {"max_length": 100, "truncation_side": "right", "split_special_tokens": False}
    texts = ["a <tab>  b<tab>c <ta <tab", "Film film films É e é FILM, _film film_", "<tab>", " <tab> "]
    got = probe("tokens", tokenizer=json.loads(reference.to_str()), options=options, texts=texts)
    assert [each["ids"] for each in got] == [reference.encode(text).ids for text in texts]


def characters() -> list[str]:
    """All of the first planes, where scripts are; of ideographs and private ones some."""
    codes = [*range(0x3100), *range(0x3100, 0xA000, 61), *range(0xA000, 0xD800, 7), *range(0xE000, 0x10000, 7)]
    return [chr(code) for code in (*codes, *range(0x10000, 0x1FB00), *range(0x1FB00, 0x110000, 997))]


def test_every_character_is_of_the_kind_that_tokenizers_says(probe: Probe) -> None:
    from tokenizers import normalizers, pre_tokenizers

    told = {"clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True}
    reference, splitting = normalizers.BertNormalizer(**told), pre_tokenizers.BertPreTokenizer()
    texts = [f"a{letter}b" for letter in characters()]
    assert probe("normalised", texts=texts, options=told) == [reference.normalize_str(text) for text in texts]
    expected = [[word for word, _ in splitting.pre_tokenize_str(text)] for text in texts]
    assert probe("words", texts=texts) == expected


def test_a_tokenizer_that_is_not_known(probe: Probe, tokenizer: dict[str, Any]) -> None:
    other = {**tokenizer, "pre_tokenizer": {"type": "ByteLevel"}}
    with pytest.raises(RefusedInNode, match="WordPiece"):
        probe("tokens", tokenizer=other, options={"max_length": 9, "tokenizer": "processor/tokenizer.json"}, texts=[""])


# Pictures -------------------------------------------------------------------------------------------------------------


def pictures() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    shapes = ((31, 17, 3), (8, 40, 3), (1, 1, 3), (64, 64, 3), (5, 3, 3))
    noise = [rng.integers(0, 256, shape, np.uint8) for shape in shapes]
    edges = np.where(rng.random((37, 53, 1)) < 0.5, 0, 255).astype(np.uint8).repeat(3, axis=2)
    return [*noise, edges]


def said(pixels: np.ndarray) -> dict[str, Any]:
    height, width, *channels = pixels.shape
    return {"height": height, "width": width, "channels": channels[0] if channels else 1, "data": packed(pixels)}


@pytest.mark.parametrize("resample", ["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"])
@pytest.mark.parametrize("resize", [16, [7, 23], [90, 61], 33])
def test_resizing_is_pillow_s_to_the_last_bit(probe: Probe, resample: str, resize: Any) -> None:
    options = {**IMAGE, "resize": resize, "resample": resample}
    reader = image.Reader(options)
    for pixels in pictures():
        got = unpacked(probe("pixels", picture=said(pixels), options=options))
        np.testing.assert_array_equal(got, reader.pixels(pixels))


@pytest.mark.parametrize(
    "changes",
    [
        {"crop": [5, 9]},
        {"crop": [40, 40]},
        {"resize": 18, "crop": [16, 17], "layout": "NCHW", "scale": 1 / 255, "mean": [0.4, 0.5, 0.6], "std": 0.3},
        {"std": [0.2, 0.3, 0.4]},
        {"colour": "L", "resize": 9, "scale": 1 / 127.5, "mean": 1.0},
        {"colour": "BGR", "mean": [104.0, 117.0, 123.0], "dtype": "float32"},
        {"colour": "BGR", "resize": [11, 12], "layout": "NCHW"},
        {"scale": 0.5, "mean": 63.75, "std": None, "dtype": "int8"},
        {"scale": 1 / 255, "std": 0.25, "dtype": "float16"},
        {"scale": 1.0, "mean": 0.5, "dtype": "uint8"},
    ],
    ids=repr,
)  # fmt: skip
def test_pictures(probe: Probe, changes: dict[str, Any]) -> None:
    options = {**IMAGE, "dtype": "float32", **changes}
    reader = image.Reader(options)
    for pixels in pictures():
        got = unpacked(probe("picture", picture=said(pixels), options=options))
        expected = reader.feed(reader.pixels(pixels)[np.newaxis])
        assert got.dtype == expected.dtype
        np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("colour", ["RGB", "L"])
def test_pictures_in_grey_and_with_opacity(probe: Probe, colour: str) -> None:
    options, rng = {**IMAGE, "colour": colour, "resize": 9}, np.random.default_rng(1)
    for shape in ((12, 10), (12, 10, 4)):
        pixels = rng.integers(0, 256, shape, np.uint8)
        got = unpacked(probe("pixels", picture=said(pixels), options=options))
        np.testing.assert_array_equal(got, image.Reader(options).pixels(pixels))


# Boxes ----------------------------------------------------------------------------------------------------------------


def expected_boxes(said: dict[str, Any], labels: list[str], outputs: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    """As BUNDLE.md has it, one box after another."""
    (scores,), (boxes,) = outputs["logits"].astype(float), outputs["boxes"].astype(float)
    more = scores.shape[1] > len(labels)
    chances = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True) if more else 1 / (1 + np.exp(-scores))
    left, top = boxes[:, 0] - boxes[:, 2] / 2, boxes[:, 1] - boxes[:, 3] / 2
    right, bottom = left + boxes[:, 2], top + boxes[:, 3]

    def overlap(one: int, other: int) -> float:
        width = min(right[one], right[other]) - max(left[one], left[other])
        height = min(bottom[one], bottom[other]) - max(top[one], top[other])
        both = max(0, width) * max(0, height)
        return both / (boxes[one, 2:].prod() + boxes[other, 2:].prod() - both)

    found = []
    for label in range(len(labels)):
        order = [int(each) for each in np.argsort(-chances[:, label], kind="stable")]
        sure = [place for place in order if chances[place, label] >= said["least_score"]]
        kept: list[int] = []
        for place in sure[:300] if not more and "kept" not in said else sure:
            suppressed = not more and any(overlap(place, each) > said["iou"] for each in kept)
            wanted = outputs["kept"][0, place, label] if "kept" in said else not suppressed
            if wanted and (more or "kept" in said or len(kept) < said["most"]):
                kept.append(place)
        found += [(chances[place, label], place, label) for place in kept]
    found.sort(key=lambda each: -each[0])
    return [
        {"label": labels[label], "score": chance, "box": [left[place], top[place], *boxes[place, 2:]]}
        for chance, place, label in found[: said["most"]]
    ]


@pytest.mark.parametrize("more", [0, 1])
@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize("most", [5, 200])
def test_boxes(probe: Probe, more: int, kept: bool, most: int) -> None:
    rng, labels = np.random.default_rng(0), ["cat", "dog", "bird"]
    centres = rng.uniform(0.2, 0.8, (12, 2)).repeat(40, axis=0) + rng.normal(0, 0.02, (480, 2))
    boxes = np.concatenate([centres, rng.uniform(0.1, 0.3, (480, 2))], axis=1)
    outputs = {"logits": rng.normal(-1, 2, (1, 480, 3 + more)).astype("float32")}
    outputs |= {"boxes": boxes[np.newaxis].astype("float32"), "kept": rng.random((1, 480, 3 + more)) < 0.3}
    said = {"output": "logits", "boxes": "boxes", "iou": 0.5, "most": most, "least_score": 0.3}
    said |= {"kept": "kept"} if kept else {}
    told = {
        name: {"dtype": str(each.dtype), "shape": list(each.shape), "data": packed(each)}
        for name, each in outputs.items()
    }
    got = probe("boxes", said=said, labels=labels, outputs=told)
    same(got, [{**each, "box": list(map(float, each["box"]))} for each in expected_boxes(said, labels, outputs)])
    assert len(got) == most or len(got) > 10


# Sounds ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [4000, 8000, 3000, 11025, 44100])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"normalise": False},
        {"coefficients": 13},
        {"window": "centre", "seconds": 0.1},
        {"window": "centre", "seconds": 0.5, "low": 0.0, "high": 1500.0},
        {"features": "none"},
        {"features": "none", "normalise": False, "seconds": 0.3},
    ],
    ids=repr,
)
def test_sounds(probe: Probe, rate: int, changes: dict[str, Any]) -> None:
    options = {**AUDIO, **changes}
    reader, rng = audio.Reader(options), np.random.default_rng(rate)
    for samples in (rng.uniform(-1, 1, rate // 4), np.zeros(rate // 5), np.sin(np.arange(rate // 3) / 7)):
        got = unpacked(probe("sound", samples=packed(samples), rate=rate, options=options))
        ready = reader.samples(audio.resampled(samples, rate, options["rate"]))
        expected = reader.feed(ready[np.newaxis])
        assert got.dtype == expected.dtype and got.shape == expected.shape
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
@pytest.mark.parametrize("form", ["WAV", "WAVEX"])
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_wav_files(probe: Probe, subtype: str, form: str, channels: int) -> None:
    import soundfile

    file = io.BytesIO()
    samples = np.random.default_rng(0).uniform(-1, 1, (999, channels))
    soundfile.write(file, samples, 12345, subtype=subtype, format=form)
    got = probe("wav", data=base64.b64encode(file.getvalue()).decode())
    expected, rate = audio.decode(file.getvalue())
    assert got["wav"] and got["rate"] == rate
    np.testing.assert_allclose(
        np.frombuffer(base64.b64decode(got["samples"])), expected.mean(axis=1), rtol=0, atol=1e-15
    )


@pytest.mark.parametrize("data", [b"", b"RIFF", b"RIFF\0\0\0\0WAVE", b"RIFF\0\0\0\0WAVEdata\0\0\0\0", b"OggS" * 9])
def test_what_is_no_wav_file(probe: Probe, data: bytes) -> None:
    with pytest.raises(RefusedInNode, match="WAV"):
        probe("wav", data=base64.b64encode(data).decode())


# Arrays and variants --------------------------------------------------------------------------------------------------


def test_halves(probe: Probe) -> None:
    every = np.arange(65536, dtype=np.uint16).view(np.float16)
    finite = every[np.isfinite(every)]
    exact = finite.astype(np.float64)
    between = (exact[:-1] + exact[1:]) / 2
    values = np.concatenate([exact, between, between * (1 + 1e-7), [1e-9, -1e-9, 65519, 65520, 7e4, -7e4]])
    values = values.astype(np.float32)
    with np.errstate(over="ignore"):
        expected = values.astype(np.float16)
    got = probe("halves", values=[float(value) for value in values])
    np.testing.assert_array_equal(np.asarray([bits for bits, _ in got], np.uint16), expected.view(np.uint16))
    for (_, back), wanted in zip(got, expected.astype(np.float64), strict=True):
        assert back == (None if np.isinf(wanted) else wanted)  # JSON has no infinity.


@pytest.mark.parametrize("number", range(11))
def test_select(probe: Probe, number: int) -> None:
    (cases,) = (mark.args[1] for mark in test_variant.test_select.pytestmark if mark.name == "parametrize")
    device, expected = cases[number]
    if device.forms != ("onnx", "ort") or test_variant.OTHER in device.static:
        pytest.skip("of a reduced build, or a provider that only the test knows")
    told = {"providers": list(device.providers), "runtime": device.runtime, "architecture": device.architecture}
    variants = [each.to_json() for each in test_variant.VARIANTS]
    found = probe("select", variants=variants, device={**told, "memoryBytes": device.memory_bytes})
    assert found == (expected and list(expected))


# Attacks --------------------------------------------------------------------------------------------------------------


def refused(probe: Probe, path: Path, kind: str, file: str | None) -> None:
    with pytest.raises(RefusedInNode) as caught:
        probe("open", path=str(path))
    found = [(each["kind"], each["file"]) for each in caught.value.findings]
    assert (kind, file) in found, caught.value.findings


def test_a_whole_bundle(probe: Probe, bundle: Path, tmp_path: Path) -> None:  # noqa: F811
    assert probe("open", path=str(bundle)) == "words"
    runs.zipped(list(runs.contents(bundle).items()), tmp_path / "b.zip")
    assert probe("open", path=str(tmp_path / "b.zip")) == "words"


@pytest.mark.parametrize("name", test_attacks.KINDS)
@pytest.mark.parametrize("form", ["folder", "archive"])
def test_a_flipped_bit(probe: Probe, bundle: Path, tmp_path: Path, name: str, form: str) -> None:  # noqa: F811
    broken = runs.copy(bundle, tmp_path / "b")
    runs.flip(broken / name)
    if form == "archive":
        runs.zipped(list(runs.contents(broken).items()), tmp_path / "b.zip")
        broken = tmp_path / "b.zip"
    refused(probe, broken, "changed", name)


@pytest.mark.parametrize("attack", test_attacks.FILES, ids=lambda attack: attack.name)
def test_files(probe: Probe, bundle: Path, tmp_path: Path, attack: test_attacks.Attack) -> None:  # noqa: F811
    broken = runs.copy(bundle, tmp_path / "b")
    attack.do(broken)
    refused(probe, broken, attack.kind, attack.file)


@pytest.mark.parametrize("packing", test_attacks.ARCHIVES, ids=lambda packing: packing.name)
def test_archives(probe: Probe, bundle: Path, tmp_path: Path, packing: test_attacks.Packing) -> None:  # noqa: F811
    target = tmp_path / "b.zip"
    packing.do(bundle, target)
    refused(probe, target, packing.kind, packing.file)


def test_every_bit_of_an_archive_s_frame_counts(probe: Probe, bundle: Path, tmp_path: Path) -> None:  # noqa: F811
    target = tmp_path / "b.zip"
    entries = runs.zipped(list(runs.contents(bundle).items()), target)
    data = target.read_bytes()
    inside = {place for entry in entries for place in range(entry.start, entry.start + entry.size)}
    frame = [place for place in range(len(data)) if place not in inside]
    for place in random.Random(0).sample(frame, 200):
        changed = bytearray(data)
        changed[place] ^= 1
        target.write_bytes(changed)
        with pytest.raises(RefusedInNode):
            probe("open", path=str(target))


@pytest.mark.parametrize("junk", [None, -1, "x", [], {}, 1e9, True, [None], {"a": 1}], ids=repr)
def test_whatever_stands_in_the_manifest_nothing_breaks(
    probe: Probe,
    bundle: Path,  # noqa: F811
    tmp_path: Path,
    junk: Any,
) -> None:
    from edgesft.ship import canonical

    broken = runs.copy(bundle, tmp_path / "b")
    before = (broken / "manifest.json").read_bytes()
    everywhere = list(test_attacks.places(json.loads(before)))
    for at in random.Random(repr(junk)).sample(everywhere, 30):
        (broken / "manifest.json").write_bytes(canonical.dump(test_attacks.put(json.loads(before), at, junk)))
        try:
            probe("open", path=str(broken))
        except RefusedInNode as error:
            assert all(finding["file"] for finding in error.findings)
