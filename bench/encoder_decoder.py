"""A small T5 that nothing has trained yet, with a tokenizer of the rows' own text, in a folder; and what an answer
without a model is worth: the target of the training row whose input is nearest.

    python bench/encoder_decoder.py runs/t5              (EDGESFT_DATA names the folder of the data sets)
    python bench/encoder_decoder.py --baseline
    python bench/encoder_decoder.py runs/t5-zh --data t2t_tatoeba_en_zh --vocabulary 4096
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration

from edgesft.budget.drop import levels
from edgesft.tasks.metrics import ngrams
from edgesft.tasks.text_to_text import LOOKED, TARGETS, TextToText

SPECIAL = ("<pad>", "</s>", "<unk>")

FACTS, WORDS = re.compile(r"([\w ]+)\[([^\]]*)\]"), re.compile(r"\w+")
"""What inputs share: facts, or else words."""


def rows(source: Path, split: str) -> list[dict[str, str]]:
    """Inputs and targets of a data set, whose folder is given."""
    return [
        {name: row[name] for name in ("input", "target")}
        for row in map(json.loads, (source / f"{split}.jsonl").read_text("utf-8").splitlines())
    ]


def tokenizer(source: Path, vocabulary: int) -> PreTrainedTokenizerFast:
    """Byte pairs of inputs and targets; every byte is there, so that none is unknown."""
    made = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(pattern="[", behavior="merged_with_previous")
    made.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(False)])
    made.decoder = decoders.ByteLevel()
    made.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=vocabulary, special_tokens=list(SPECIAL), initial_alphabet=alphabet)
    made.train_from_iterator((text for row in rows(source, "train") for text in row.values()), trainer)
    names = dict(zip(("pad_token", "eos_token", "unk_token"), SPECIAL, strict=True))
    return PreTrainedTokenizerFast(tokenizer_object=made, **names)


def start(source: Path, folder: Path, vocabulary: int) -> None:
    """Writes both."""
    tokenizer(source, vocabulary).save_pretrained(folder)
    torch.manual_seed(0)
    config = T5Config(
        vocab_size=vocabulary,
        d_model=256,
        d_kv=64,
        d_ff=768,
        num_heads=4,
        num_layers=2,
        num_decoder_layers=2,
        decoder_start_token_id=0,
    )
    model = T5ForConditionalGeneration(config)
    model.save_pretrained(folder)
    print(f"{folder}: {model.num_parameters():,} parameters")


def parts(text: str) -> set[Any]:
    """What a text shares with others."""
    return {*(FACTS.findall(text) or WORDS.findall(text.lower()))}


def nearest(train: Sequence[dict[str, str]], asked: Sequence[str]) -> list[str]:
    """For each input the target of the training row that shares most with it, parts by how rare they are (TF-IDF,
    cosine); of several rows the first one's.
    """
    known = [parts(row["input"]) for row in train]
    counts = Counter(part for each in known for part in each)
    weight = {part: math.log(len(train) / count) ** 2 for part, count in counts.items()}
    sizes = [math.sqrt(sum(weight[part] for part in each)) or 1.0 for each in known]

    def best(own: set[Any]) -> int:
        return int(
            np.argmax(
                [sum(weight[part] for part in own & each) / size for each, size in zip(known, sizes, strict=True)]
            )
        )

    return [train[best(parts(text))]["target"] for text in asked]


def baseline(source: Path) -> None:
    """Scores the nearest rows' targets on the dev rows, as the task scores a model's answers."""
    train, dev = rows(source, "train"), TextToText().merge_references(rows(source, "dev"))
    words = ngrams.words_of([row["target"] for row in train[:LOOKED]])
    said = nearest(train, [row["input"] for row in dev])
    counted = np.stack([ngrams.counted(text, tuple(row[TARGETS]), words) for text, row in zip(said, dev, strict=True)])
    found = levels(lambda counts, _: ngrams.scores(counts, words), counted, 0.975)
    for name, each in found.items():
        print(f"{name} {each.value:.4f} [{each.lower:.4f}, {each.upper:.4f}], n = {len(dev)}")


def main() -> None:
    """Does what is asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--data", default="t2t_e2e_nlg")
    parser.add_argument("--vocabulary", type=int, default=1024)
    parser.add_argument("--baseline", action="store_true")
    asked = parser.parse_args()
    source = Path(os.environ["EDGESFT_DATA"]) / asked.data
    if asked.folder:
        start(source, asked.folder, asked.vocabulary)
    if asked.baseline:
        baseline(source)


if __name__ == "__main__":
    main()
