"""Learns what bench/tasks/letters.yaml and letters-vae.yaml begin with, in some minutes on one core: a diffusion model
and an autoencoder of digits, and a classifier of the recipes' training rows, by whose features pictures are compared.

    python bench/drawing_weights.py runs/drawing       (EDGESFT_DATA names the folder of the data sets)
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

import edgesft
from edgesft.data import splits
from edgesft.data.files import sha256
from edgesft.data.splits import Splits
from edgesft.progress import Progress
from edgesft.spec.generation import GenerationSpec
from edgesft.spec.model import FactorySpec
from edgesft.spec.recipe import DataSpec
from edgesft.spec.training import ResolvedTraining
from edgesft.tasks.base import Task
from edgesft.tasks.image_classification import ImageClassification
from edgesft.tasks.image_generation import ImageGeneration
from edgesft.tasks.models import factory
from edgesft.train.engine import fit

IMAGE = {"colour": "L", "mean": 0.5, "std": 0.5}
SHARES = {"validation": 0.1, "test": 0.1}
"""As in the recipes, so that what is held back there is held back here."""


def rows_of(name: str, task: Task) -> Splits:
    """The rows of a data set, parted as the recipes part them."""
    place = Path(os.environ["EDGESFT_DATA"]) / name / "t10k-images-idx3-ubyte.gz"
    return splits.load(DataSpec(train=str(place), **SHARES), task.schema, Path(), 0)


def learned(task: Task, net: str, data: str, epochs: float, inputs: tuple[str, ...], work: Path) -> nn.Module:
    """A module after learning from a data set, as it was best on the validation rows; goes on where it was."""
    source = factory.resolve(FactorySpec(factory=f"drawing:{net}", inputs=inputs), Path(__file__).parent)
    rows = rows_of(data, task)
    contract = task.contract(rows.train, task.implied(source, {"image": IMAGE}))
    processor = task.load_processor(source, contract)
    train, held = (task.encode(each, processor, contract) for each in (rows.train, rows.validation))
    torch.manual_seed(0)
    model = task.load_model(source, contract)
    settings = ResolvedTraining(
        epochs=epochs, learning_rate=2e-3, batch_size=128, average=0.99, evaluations=2, checkpoint_minutes=1
    )
    (work / net).mkdir(parents=True, exist_ok=True)
    report = fit(
        model, task=task, processor=processor, contract=contract, train=train, validation=held, settings=settings,
        seed=0, work=work / net, progress=Progress(), label=net,
    )  # fmt: skip
    print(f"{net}, {epochs} epochs of {data}: {dict(report.best)}, {report.seconds:.0f} s in {report.arithmetic}")
    return model.model.eval()  # type: ignore[union-attr, operator, return-value]


def generator(net: str, spec: GenerationSpec, inputs: tuple[str, ...], folder: Path) -> None:
    """Weights of a model that makes digits; those that are there are kept."""
    file = folder / f"{net}.safetensors"
    if not file.is_file():
        made = learned(ImageGeneration(spec, inputs), net, "image_mnist", 8, inputs, folder / "work")
        save_file(made.state_dict(), file)


def main() -> None:
    """Writes all three."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "features.onnx"
    if not file.is_file():
        net = learned(ImageClassification(), "classifier", "image_notmnist", 4, ("x",), folder / "work")
        edgesft.export(net.body, {"input": torch.zeros(2, 1, 28, 28)}, file)
    print(f"{file}: sha256 {sha256(file)}")
    generator("unet", GenerationSpec(predicts="v"), ("noisy", "time", "label"), folder)
    generator("vae", GenerationSpec(method="autoencoder"), ("pixels",), folder)


if __name__ == "__main__":
    main()
