"""A Llama of 5.8 million parameters that nothing has trained yet, with a tokenizer of the rows' own text, in a folder.

Small enough to be trained from nothing by a recipe's finetune stage in minutes, large enough that what its weights take
to be read decides how fast it is.

    python bench/decoder.py runs/decoder       (EDGESFT_DATA names the folder of the data sets)
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

VOCABULARY = 4096
SPECIAL = ("<unk>", "<s>", "</s>")


def texts(source: Path) -> Iterator[str]:
    """Questions and answers of the training rows."""
    for line in (source / "sft_gsm8k" / "train.jsonl").open(encoding="utf-8"):
        row = json.loads(line)
        yield row["input"]
        yield row["target"]


def tokenizer(source: Path) -> PreTrainedTokenizerFast:
    """Byte pairs of these texts; every byte is there, so that none is unknown."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(True), pre_tokenizers.ByteLevel(False)])
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=VOCABULARY, special_tokens=list(SPECIAL), initial_alphabet=alphabet)
    made.train_from_iterator(texts(source), trainer)
    names = dict(zip(("unk_token", "bos_token", "eos_token"), SPECIAL, strict=True))
    return PreTrainedTokenizerFast(tokenizer_object=made, **names)


def main() -> None:
    """Writes both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    tokenizer(Path(os.environ["EDGESFT_DATA"])).save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=256,
        intermediate_size=768,
        num_hidden_layers=6,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        bos_token_id=1,
        eos_token_id=2,
    )
    model = LlamaForCausalLM(config)
    model.save_pretrained(folder)
    print(f"{folder}: {model.num_parameters():,} parameters")


if __name__ == "__main__":
    main()
