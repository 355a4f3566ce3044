"""Accuracy of `cnn train` over several seeds: the figures of the README.

    python benchmarks/accuracy.py digits
    python benchmarks/accuracy.py mnist --data-dir ../shared/data/mnist --epochs 5
    python benchmarks/accuracy.py digits --folds

Every seed is a run of the command line in a process of its own; the result is a JSON file in benchmarks/results
with each run, their mean and spread, the machine and the versions. `--folds` trains on four fifths of the digits and
tests on the last, five times.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from machine import describe

RESULTS = Path(__file__).parent / "results"


def train(dataset: str, seed: int, options: list[str], keep: Path | None) -> dict[str, object]:
    """One run of `cnn train`; its metrics."""
    with tempfile.TemporaryDirectory() as folder:
        out = (keep or Path(folder)) / f"{dataset}-seed-{seed}"
        code = "from cnn_from_scratch.cli import main; main()"
        command = [sys.executable, "-c", code, "train", dataset, "--seed", str(seed), "--out", str(out), *options]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return json.loads((out / "metrics.json").read_text())


def five_folds(seed: int) -> list[float]:
    """Test accuracy of the digits recipe on each fifth, trained on the other four."""
    from cnn_from_scratch.cli.recipes import RECIPES
    from cnn_from_scratch.cli.training_run import train_recipe
    from cnn_from_scratch.data import digits_folds

    return [train_recipe(RECIPES["digits"], fold, seed=seed).evaluation.accuracy for fold in digits_folds(5)]


def _without_paths(arguments: list[str]) -> list[str]:
    """The arguments less the options that name folders of this machine."""
    for option in ("--data-dir", "--keep"):
        if option in arguments:
            at = arguments.index(option)
            arguments = arguments[:at] + arguments[at + 2 :]
    return arguments


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--folds", action="store_true")
    parser.add_argument("--keep", type=Path, help="keep the run folders here")
    arguments, options = parser.parse_known_args()

    if arguments.folds:
        runs: list[dict[str, object]] = [{"seed": s, "test_accuracy": five_folds(s)} for s in arguments.seeds]
        accuracies = [a for run in runs for a in run["test_accuracy"]]  # type: ignore[attr-defined]
    else:
        runs = []
        for seed in arguments.seeds:
            metrics = train(arguments.dataset, seed, options, arguments.keep)
            kept = ("seed", "test_accuracy", "test_loss", "epochs", "seconds", "parameters", "model")
            runs.append({key: metrics[key] for key in kept if key in metrics})
            print(runs[-1], flush=True)
        accuracies = [run["test_accuracy"] for run in runs]
    result = {
        "command": " ".join(["accuracy.py", *_without_paths(sys.argv[1:])]),
        "mean": statistics.mean(accuracies),
        "least": min(accuracies),
        "most": max(accuracies),
        "runs": runs,
        "machine": describe(),
    }
    name = f"accuracy-{arguments.dataset}{'-folds' if arguments.folds else ''}.json"
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / name).write_text(json.dumps(result, indent=1) + "\n")
    spread = f"{result['least']:.4f} to {result['most']:.4f}"
    print(f"{arguments.dataset}: mean {result['mean']:.4f}, {spread} -> results/{name}")


if __name__ == "__main__":
    main()
