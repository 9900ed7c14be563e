"""An audio spectrogram transformer of 0.83 million parameters that nothing has trained yet, with the file that says how
it reads sounds, in a folder.

Of the shape of transformers' ASTForAudioClassification, for words of a second: 98 frames of 64 bands, in patches of 16
by 16 of which neighbours in time share 6 frames. Small enough to be trained from nothing in minutes.

    python bench/spectrogram_transformer.py runs/ast
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from transformers import ASTConfig, ASTFeatureExtractor, ASTModel

BANDS, FRAMES = 64, 98


def main() -> None:
    """Writes both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    torch.manual_seed(0)
    config = ASTConfig(
        hidden_size=128,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=512,
        hidden_dropout_prob=0.1,
        num_mel_bins=BANDS,
        max_length=FRAMES,
        patch_size=16,
        frequency_stride=16,
        time_stride=10,
    )
    model = ASTModel(config)
    model.save_pretrained(folder)
    ASTFeatureExtractor(num_mel_bins=BANDS, max_length=FRAMES).save_pretrained(folder)
    print(f"{folder}: {model.num_parameters():,} parameters")


if __name__ == "__main__":
    main()
