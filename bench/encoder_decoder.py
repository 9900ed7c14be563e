"""A T5 of 3.4 million parameters that nothing has trained yet, with a tokenizer of the rows' own text, in a folder; and
what an answer without a model is worth: the target of the training row whose input is nearest.

    python bench/encoder_decoder.py runs/t5              (EDGESFT_DATA names the folder of the data sets)
    python bench/encoder_decoder.py --baseline
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
from edgesft.tasks import ngrams
from edgesft.tasks.text_to_text import TARGETS, TextToText

VOCABULARY = 1024
SPECIAL = ("<pad>", "</s>", "<unk>")
FACTS = re.compile(r"([\w ]+)\[([^\]]*)\]")


def rows(source: Path, split: str) -> list[dict[str, str]]:
    """Facts and sentences."""
    lines = (source / "t2t_e2e_nlg" / f"{split}.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


def tokenizer(source: Path) -> PreTrainedTokenizerFast:
    """Byte pairs of inputs and targets; every byte is there, so that none is unknown."""
    made = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(pattern="[", behavior="merged_with_previous")
    made.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(False)])
    made.decoder = decoders.ByteLevel()
    made.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=VOCABULARY, special_tokens=list(SPECIAL), initial_alphabet=alphabet)
    made.train_from_iterator((text for row in rows(source, "train") for text in row.values()), trainer)
    names = dict(zip(("pad_token", "eos_token", "unk_token"), SPECIAL, strict=True))
    return PreTrainedTokenizerFast(tokenizer_object=made, **names)


def start(source: Path, folder: Path) -> None:
    """Writes both."""
    tokenizer(source).save_pretrained(folder)
    torch.manual_seed(0)
    config = T5Config(
        vocab_size=VOCABULARY,
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


def nearest(train: Sequence[dict[str, str]], asked: str) -> str:
    """The target of the training row that shares most with an input: facts by how rare they are (TF-IDF, cosine); of
    several rows the first one's.
    """
    known = [{*FACTS.findall(row["input"])} for row in train]
    counts = Counter(fact for facts in known for fact in facts)
    weight = {fact: math.log(len(train) / count) ** 2 for fact, count in counts.items()}

    def size(facts: set[Any]) -> float:
        return math.sqrt(sum(weight.get(fact, 0.0) for fact in facts)) or 1.0

    own = {*FACTS.findall(asked)}
    shared = [sum(weight[fact] for fact in own & facts) / size(facts) for facts in known]
    return train[int(np.argmax(shared))]["target"]


def baseline(source: Path) -> None:
    """Scores the nearest rows' targets on the dev rows, as the task scores a model's answers."""
    train, dev = rows(source, "train"), TextToText().gathered(rows(source, "dev"))
    said = [nearest(train, row["input"]) for row in dev]
    counted = np.stack(
        [ngrams.counted(text, tuple(row[TARGETS]), ngrams.WESTERN) for text, row in zip(said, dev, strict=True)]
    )
    found = levels(lambda counts, _: ngrams.scores(counts, ngrams.WESTERN), counted, 0.975)
    for name, each in found.items():
        print(f"{name} {each.value:.4f} [{each.lower:.4f}, {each.upper:.4f}], n = {len(dev)}")


def main() -> None:
    """Does what is asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--baseline", action="store_true")
    asked, source = parser.parse_args(), Path(os.environ["EDGESFT_DATA"])
    if asked.folder:
        start(source, asked.folder)
    if asked.baseline:
        baseline(source)


if __name__ == "__main__":
    main()
