"""Small things to test on, made anew each time: a BERT of 30 kB, its tokenizer, and rows that it can learn."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

GOOD = ("good", "great", "lovely", "bright", "superb", "warm")
BAD = ("bad", "awful", "dull", "broken", "cold", "poor")
FILLER = ("the", "film", "is", "a", "very", "story", "and", "with", "plot", "some", "it", "was", "end", "start", "cast")


def rows(count: int, seed: int = 0) -> list[dict[str, str]]:
    """Distinct sentences whose label is the mood of their one telling word."""
    rng = random.Random(seed)
    found: dict[str, str] = {}
    while len(found) < count:
        label = rng.choice(("negative", "positive"))
        words = rng.choices(FILLER, k=rng.randint(4, 9))
        words.insert(rng.randrange(len(words)), rng.choice(GOOD if label == "positive" else BAD))
        found[" ".join(words)] = label
    return [{"text": text, "label": label} for text, label in found.items()]


def write_rows(path: Path, data: list[dict[str, str]]) -> Path:
    """A jsonl file of rows."""
    path.write_text("".join(json.dumps(row) + "\n" for row in data), "utf-8")
    return path


def save_tokenizer(folder: Path) -> None:
    """A WordPiece tokenizer that knows the words above and single letters."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *GOOD, *BAD, *FILLER, *letters]
    words += [f"##{letter}" for letter in letters]
    vocabulary = {word: index for index, word in enumerate(dict.fromkeys(words))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B [SEP]",
        special_tokens=[("[CLS]", vocabulary["[CLS]"]), ("[SEP]", vocabulary["[SEP]"])],
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=64,
        unk_token="[UNK]",
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
    ).save_pretrained(folder)


def save_bert(folder: Path, *, hidden: int = 32, layers: int = 2, heads: int = 4, ffn: int = 64) -> Path:
    """A randomly initialised encoder without a head, as a folder that transformers loads."""
    import torch
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    folder.mkdir(parents=True, exist_ok=True)
    save_tokenizer(folder)
    config = BertConfig(
        vocab_size=128,
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=ffn,
        max_position_embeddings=64,
    )
    BertModel(config).save_pretrained(folder)
    return folder


def save_decoder(folder: Path, kind: str = "llama") -> Path:
    """A randomly initialised decoder, with a tokenizer of bytes that begins texts with a token of its own."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    special = ["<unk>", "<s>", "</s>"]
    symbols = [*special, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    made = Tokenizer(models.BPE({symbol: index for index, symbol in enumerate(symbols)}, []))
    made.pre_tokenizer, made.decoder = pre_tokenizers.ByteLevel(False), decoders.ByteLevel()
    made.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    names = dict(zip(("unk_token", "bos_token", "eos_token"), special, strict=True))
    PreTrainedTokenizerFast(tokenizer_object=made, **names).save_pretrained(folder)
    torch.manual_seed(0)
    ends = {"bos_token_id": 1, "eos_token_id": 2, "vocab_size": len(symbols)}
    if kind == "gpt2":
        GPT2LMHeadModel(GPT2Config(n_embd=32, n_layer=2, n_head=2, n_positions=96, **ends)).save_pretrained(folder)
        return folder
    widths = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 4, "num_key_value_heads": 2}
    config = LlamaConfig(
        num_hidden_layers=2,
        max_position_embeddings=96,
        tie_word_embeddings=True,
        initializer_range=0.2,
        **widths,
        **ends,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def asked(count: int) -> list[dict[str, str]]:
    """Prompts and answers of different lengths."""
    return [{"prompt": f"what is {n} and {n}?", "answer": f"it is {n + n}" + "!" * (n % 3)} for n in range(count)]


def save_t5(folder: Path, kind: str = "t5") -> Path:
    """A randomly initialised encoder-decoder that says different things, with a tokenizer of bytes."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import AutoConfig, AutoModelForSeq2SeqLM, PreTrainedTokenizerFast

    special = ["<pad>", "</s>", "<unk>"]
    symbols = [*special, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    made = Tokenizer(models.BPE({symbol: index for index, symbol in enumerate(symbols)}, []))
    made.pre_tokenizer, made.decoder = pre_tokenizers.ByteLevel(False), decoders.ByteLevel()
    made.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    names = dict(zip(("pad_token", "eos_token", "unk_token"), special, strict=True))
    PreTrainedTokenizerFast(tokenizer_object=made, **names).save_pretrained(folder)
    torch.manual_seed(0)
    widths = {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_heads": 4, "num_layers": 2, "num_decoder_layers": 1}
    config = AutoConfig.for_model(kind, vocab_size=len(symbols), decoder_start_token_id=0, dropout_rate=0.0, **widths)
    model = AutoModelForSeq2SeqLM.from_config(config)
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if "layer" in name:  # As they come they say one token again and again.
                weights.add_(torch.randn(weights.shape) * 0.5)
    model.save_pretrained(folder)
    return folder


def translated(count: int) -> list[dict[str, str]]:
    """Short texts and what is to be said of them, of different lengths."""
    return [{"input": f"say {n}", "target": f"it is {n}" + "!" * (n % 3)} for n in range(count)]


def tagged(count: int, seed: int = 0) -> list[dict[str, list[str]]]:
    """The same sentences with their telling word tagged, and the word behind it where it is `story`."""
    found = []
    for row in rows(count, seed):
        tags: list[str] = []
        for word in (words := row["text"].split()):
            after = bool(tags) and tags[-1] == "B-MOOD" and word == "story"
            tags.append("B-MOOD" if word in GOOD + BAD else "I-MOOD" if after else "O")
        found.append({"tokens": words, "tags": tags})
    return found


def answered(count: int, seed: int = 0) -> list[dict[str, object]]:
    """The same sentences, two to a passage, with the question which word of the first tells its mood."""
    found = []
    both = rows(2 * count, seed)
    for one, other in zip(both[::2], both[1::2], strict=True):
        plain = " ".join(word for word in other["text"].split() if word not in GOOD + BAD)
        word = next(word for word in one["text"].split() if word in GOOD + BAD)
        passage = f"{plain} and {one['text']}"
        start = len(plain) + 5 + f" {one['text']} ".index(f" {word} ")
        answers = {"text": [word], "answer_start": [start]}
        found.append({"context": passage, "question": "the mood", "answers": answers})
    return found


def headed(count: int, seed: int = 0) -> list[dict[str, str]]:
    """The same sentences, of which every other is asked for its length instead of its mood."""
    found = []
    for index, row in enumerate(rows(count, seed)):
        length = "long" if len(row["text"].split()) > 7 else "short"
        found.append({**row, "head": "mood"} if index % 2 else {**row, "head": "length", "label": length})
    return found


def pictured(count: int, seed: int = 0) -> list[dict[str, object]]:
    """Noise in colour with a bar; the class tells whether it stands."""
    import numpy as np

    rng = np.random.default_rng(seed)
    found = []
    for number in range(count):
        pixels = rng.integers(0, 120, (12, 12, 3), np.uint8)
        (pixels.transpose(1, 0, 2) if number % 2 else pixels)[rng.integers(12)] += 130
        found.append({"image": pixels, "label": "standing" if number % 2 else "lying"})
    return found


def headed_pictures(count: int, seed: int = 0) -> list[dict[str, object]]:
    """The same pictures, of which every other two are asked for their light instead of their bar."""
    found = []
    for index, row in enumerate(pictured(count, seed)):
        half: Any = row["image"] // 2
        light = {"image": half if index % 4 < 2 else half + 90, "label": "dark" if index % 4 < 2 else "light"}
        found.append({**light, "head": "light"} if index % 8 < 4 else {**row, "head": "bar"})
    return found


def boxed(count: int, seed: int = 0) -> list[dict[str, object]]:
    """Dark noise with one to three bright squares that do not overlap, red or green ones, and where they are."""
    import numpy as np

    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        pixels = rng.integers(0, 90, (32, 32, 3), np.uint8)
        boxes, labels = list[list[int]](), list[str]()
        for corner in rng.permutation(4)[: rng.integers(1, 4)]:
            side = int(rng.integers(8, 14))
            left, top = (int(rng.integers(0, 16 - side + 1)) + 16 * half for half in divmod(int(corner), 2))
            kind = int(rng.integers(2))
            pixels[top : top + side, left : left + side, kind] += 140
            boxes.append([left, top, side, side])
            labels.append(("red", "green")[kind])
        found.append({"image": pixels, "boxes": boxes, "labels": labels})
    return found


def save_boxed(folder: Path, name: str, rows: list[dict[str, object]]) -> Path:
    """COCO's file of boxes, beside a folder of its pictures."""
    from PIL import Image

    (folder / "images").mkdir(parents=True, exist_ok=True)
    categories = {"green": 3, "red": 7}
    said: dict[str, list[object]] = {
        "images": [],
        "annotations": [],
        "categories": [{"id": number, "name": label} for label, number in categories.items()],
    }
    for number, row in enumerate(rows, 1):
        Image.fromarray(row["image"]).save(folder / "images" / f"{name}-{number:04}.png")
        said["images"].append({"id": number, "file_name": f"{name}-{number:04}.png", "width": 32, "height": 32})
        for box, label in zip(row["boxes"], row["labels"], strict=True):  # type: ignore[call-overload]
            mark = {"id": len(said["annotations"]) + 1, "image_id": number, "bbox": box, "iscrowd": 0}
            said["annotations"].append({**mark, "category_id": categories[label]})
    (folder / f"{name}.json").write_text(json.dumps(said), "utf-8")
    return folder / f"{name}.json"


RATE = 4000
"""Samples a second of the sounds, which last a quarter of one."""


def sounded(count: int, seed: int = 0) -> list[dict[str, object]]:
    """Noise with a tone; the class tells whether it rises."""
    import numpy as np

    rng = np.random.default_rng(seed)
    times = np.arange(RATE // 4) / RATE
    found = []
    for number in range(count):
        low, high = rng.uniform(200, 500), rng.uniform(1000, 1800)
        start, end = (low, high) if number % 2 else (high, low)
        phase = 2 * np.pi * (start * times + (end - start) * times**2 * 2)
        samples = 0.2 * np.sin(phase) + 0.02 * rng.standard_normal(len(times))
        found.append({"audio": samples.astype(np.float32), "label": "rising" if number % 2 else "falling"})
    return found


def headed_sounds(count: int, seed: int = 0) -> list[dict[str, object]]:
    """The same sounds, of which every other two are asked for their loudness instead of their way."""
    found = []
    for index, row in enumerate(sounded(count, seed)):
        audio: Any = row["audio"]
        loud = {"audio": audio if index % 4 < 2 else audio / 16, "label": "loud" if index % 4 < 2 else "quiet"}
        found.append({**loud, "head": "loudness"} if index % 8 < 4 else {**row, "head": "way"})
    return found


def mixed(count: int, seed: int = 0, rate: int = 16000) -> list[dict[str, object]]:
    """Tones that rise and fall, and noise that is louder where they are not: 0 dB."""
    import numpy as np

    rng = np.random.default_rng(seed)
    times = np.arange(rate // 4) / rate
    found: list[dict[str, object]] = []
    for _ in range(count):
        start, end = rng.uniform(200, 1200, 2)
        clean = 0.2 * np.sin(2 * np.pi * (start * times + (end - start) * times**2 * 2))
        noise = np.diff(rng.standard_normal(rate), prepend=0)
        found.append({"clean": clean.astype(np.float32), "noise": noise.astype(np.float32), "snr": 0.0, "offset": 0.1})
    return found


LETTERS = {"a": 500, "b": 1100, "c": 1900, "d": 3100}
"""Hertz of the tone that stands for each."""


def recited(count: int, seed: int = 0, rate: int = 16000) -> list[dict[str, object]]:
    """Texts of three letters, each of which is a tone of its own; of two speakers one is higher and slower."""
    import numpy as np

    rng = np.random.default_rng(seed)
    found: list[dict[str, object]] = []
    for number in range(count):
        slow = bool(number % 2)
        text = "".join(rng.choice(list(LETTERS), 3))
        tones = []
        for letter in text:
            times = np.arange(int(rate * rng.uniform(0.06, 0.08) * (1.4 if slow else 1))) / rate
            tones.append(0.2 * np.sin(2 * np.pi * LETTERS[letter] * (1.15 if slow else 1) * times))
        samples = np.concatenate(tones)
        samples += 0.002 * rng.standard_normal(len(samples))
        found.append({"audio": samples.astype(np.float32), "text": text, "speaker": "slow" if slow else "fast"})
    return found


def save_sounds(folder: Path, rows: list[dict[str, object]], rate: int = RATE) -> Path:
    """A folder a class, with a file a sound."""
    import soundfile

    for number, row in enumerate(rows):
        place = folder / str(row["label"]) / f"{number:04}.wav"
        place.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(place, row["audio"], rate)
    return folder


def save_pictures(folder: Path, rows: list[dict[str, object]]) -> Path:
    """A folder a class, with a file a picture."""
    from PIL import Image

    for number, row in enumerate(rows):
        place = folder / str(row["label"]) / f"{number:04}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(row["image"]).save(place)
    return folder


def filed(rows: list[dict[str, object]], folder: Path) -> list[dict[str, object]]:
    """The same rows with the files of their pictures or sounds in their place."""
    import numpy as np
    import soundfile
    from PIL import Image

    found = []
    for number, row in enumerate(rows):
        own = dict(row)
        for name, value in row.items():
            if isinstance(value, np.ndarray):
                picture = value.dtype == np.uint8
                place = folder / str(row.get("label", name)) / f"{number:04}.{'png' if picture else 'wav'}"
                place.parent.mkdir(parents=True, exist_ok=True)
                if picture:
                    Image.fromarray(value).save(place)
                else:
                    soundfile.write(place, value, RATE if name == "audio" else 16000)
                own[name] = str(place)
        found.append(own)
    return found


def save_resnet(folder: Path, **changes: object) -> Path:
    """A randomly initialised residual net without a head, and how it reads pictures, as transformers saves them."""
    import torch
    from transformers import ResNetConfig, ResNetModel

    torch.manual_seed(0)
    settings = {"embedding_size": 8, "hidden_sizes": [16, 48], "depths": [1, 1], "layer_type": "basic"}
    config = ResNetConfig(**{**settings, "downsample_in_first_stage": False, **changes})
    ResNetModel(config).save_pretrained(folder)
    reading = {"do_resize": True, "size": {"height": 16, "width": 16}, "resample": 2, "do_normalize": True}
    reading |= {"image_mean": [0.4, 0.4, 0.4], "image_std": [0.3, 0.3, 0.3]}
    (folder / "preprocessor_config.json").write_text(json.dumps(reading), "utf-8")
    return folder


def save_ast(folder: Path, **changes: object) -> Path:
    """A randomly initialised audio spectrogram transformer without a head, and how it reads sounds, 0.3 s of them."""
    import torch
    from transformers import ASTConfig, ASTModel

    torch.manual_seed(0)
    settings = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    sizes = {"num_mel_bins": 16, "max_length": 28}
    strides = {"patch_size": 8, "frequency_stride": 8, "time_stride": 4}
    ASTModel(ASTConfig(**{**settings, **sizes, **strides, **changes})).save_pretrained(folder)
    # What transformers' ASTFeatureExtractor writes, but for the rate.
    reading = {"feature_extractor_type": "ASTFeatureExtractor", "sampling_rate": RATE, "padding_value": 0.0}
    reading |= {"do_normalize": True, "mean": -4.2677393, "std": 4.5689974, "feature_size": 1, **sizes}
    (folder / "preprocessor_config.json").write_text(json.dumps(reading), "utf-8")
    return folder


def visited(count: int, seed: int = 0) -> list[dict[str, object]]:
    """What so many people did: they walk along a ring of places from somewhere on, told in no order."""
    rng = random.Random(seed)
    found: list[dict[str, object]] = []
    for user in range(count):
        start, steps = rng.randrange(24), rng.randint(4, 9)
        found += [{"user": user, "item": f"place {(start + step) % 24}", "time": 60 * step} for step in range(steps)]
    rng.shuffle(found)
    return found


def toured(count: int, seed: int = 0) -> list[dict[str, object]]:
    """The same of people of whom each step says which way it goes, and how they liked where it led to."""
    rng = random.Random(seed)
    found: list[dict[str, object]] = []
    for user in range(count):
        place = rng.randrange(24)
        for step in range(rng.randint(5, 9)):
            way = rng.choice(("on", "back"))
            place = (place + (1 if way == "on" else -1)) % 24
            told: dict[str, object] = {"user": user, "item": f"place {place}", "time": 3600 * step, "way": way}
            found.append({**told, "rating": rng.randint(1, 5), "where": f"zone {place // 6}|side {place // 12}"})
    rng.shuffle(found)
    return found
