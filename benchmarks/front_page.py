"""The figures on the front page, from the JSON files that the scripts beside this one have written.

    python benchmarks/front_page.py             write them into README.md
    python benchmarks/front_page.py --check     fail if README.md has others

Only what stands between ``<!-- figures: NAME -->`` and ``<!-- end of figures -->`` is written.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from report_tables import number, table

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
BLOCK = re.compile(r"(<!-- figures: (\w+) -->\n).*?(<!-- end of figures -->)", re.DOTALL)


def result(name: str) -> Any:
    """What one script has written."""
    return json.loads((HERE / "results" / f"{name}.json").read_text(encoding="utf-8"))


def case(name: str, label: str) -> dict[str, Any]:
    """One case of one workload of speed.py."""
    return next(case for case in result(f"speed-{name}")["cases"] if case["label"] == label)


def median(case: dict[str, Any], who: str) -> float:
    """The figure of one competitor."""
    return next(float(c["median"]) for c in case["competitors"] if c["name"] == who)


def sizes() -> dict[str, int]:
    """MiB of each environment."""
    return {size["name"]: round(size["size"] / 2**20) for size in result("installed_size")["sizes"]}


def source() -> tuple[int, float, int]:
    """Files of the package, the median of their lines, and the examples in their docstrings."""
    lines, examples = [], 0
    for path in sorted((ROOT / "src" / "cnn_from_scratch").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        lines.append(text.count("\n"))
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module):
                examples += "\n>>> " in "\n" + (ast.get_docstring(node) or "")
    return len(lines), statistics.median(lines), examples


# --- the blocks -----------------------------------------------------------------------------------------------------


def promises() -> str:
    """What is promised, and the figure for it."""
    files, lines, examples = source()
    tens = -(-lines // 10) * 10
    onnx = [c["status"] for c in result("onnx-conformance")["cases"] if c["suite"] == "node"]
    kills, fuzz = result("faults/kill_training"), result("faults/fuzz")
    w1, peers = case("w1-step", "batch 128"), case("numpy-peers", "batch 128")
    taught = max(median(peers, c["name"]) for c in peers["competitors"]) / median(peers, "ours")
    rows = [
        [
            "**Readable**",
            f"The code is the lesson: over {files // 50 * 50} files, half of them of at most {tens:.0f} "
            f"lines, and over {examples // 50 * 50} docstrings with an example that is tested",
            "[how to read it](#how-to-read-it)",
        ],
        [
            "**Right**",
            f"Against loops, finite differences and PyTorch; {onnx.count('passed')} of ONNX's own node tests pass, "
            f"{onnx.count('failed')} fail; {kills['survived']} of {kills['trials']} killed trainings resumed bit for "
            f"bit; {fuzz['trials']:,} hostile inputs, {fuzz['trials'] - fuzz['survived']} got through",
            "[how it is proven](#how-it-is-proven), [faults](docs/faults.md)",
        ],
        [
            "**Fast**",
            f"A training step of the MNIST network takes {w1['ratio']:.2f} of the time of PyTorch's fastest way on the "
            f"same two cores, and textbook NumPy takes {taught:.0f} times ours",
            "[how fast](#how-fast-it-is)",
        ],
        [
            "**Visible**",
            "Every number of every layer and every gradient, taken apart into the products that add up to it, for your "
            "own model, too",
            "[glass walls](#glass-walls)",
        ],
    ]
    return table(["promise", "what it comes to", "more"], rows).replace("|---|---:|---:|", "|---|---|---|")


def accuracy() -> str:
    """Test accuracy of `cnn train` as it comes."""
    rows = []
    for name, said in (
        ("digits", "digits (8 × 8, in the package)"),
        ("mnist", "MNIST"),
        ("fashion-mnist", "Fashion-MNIST"),
    ):
        found = result(f"accuracy-{name}")
        first, seeds = found["runs"][0], [run["seed"] for run in found["runs"]]
        network = f"`{first['model']}`, {first['parameters']:,} parameters"
        spread = f"{100 * found['least']:.2f} .. {100 * found['most']:.2f} %"
        rows.append(
            [said, network, str(first["epochs"]), f"{seeds[0]}-{seeds[-1]}", f"**{100 * found['mean']:.2f} %**", spread]
        )
    return table(["data", "network", "epochs", "seeds", "mean", "from .. to"], rows)


def accuracy_elsewhere() -> str:
    """Other data than the test images."""
    folds, pictures = result("accuracy-digits-folds"), result("predict_pictures")
    worst = min(pictures["ways"], key=pictures["ways"].get)
    return (
        f"Over {len(folds['runs'][0]['test_accuracy'])} stratified folds of all 1,797 digits the recipe reaches "
        f"{100 * folds['mean']:.2f} %. {pictures['pictures']:,} pictures that do not look like MNIST (scaled, shifted, "
        f"inverted, in colour, photographed ...), drawn from {pictures['digits']} MNIST test digits in "
        f"{len(pictures['ways'])} ways and read by `cnn predict`'s own path: **{100 * pictures['overall']:.2f} %**; "
        f"the hardest way, {worst.replace('_', ' ')}, {100 * pictures['ways'][worst]:.2f} %."
    )


SPEED = (
    ("W1 (`mnist_cnn`), training step, batch 128, ms", "w1-step", "batch 128"),
    ("W2 (`vgg_small`), training step, batch 64, ms", "w2-step", "batch 64"),
    ("ResNet-20, training step, batch 128, ms", "resnet20-step", "batch 128"),
    ("W1, inference, batch 256, ms", "w1-inference", "batch 256"),
    ("W1, inference, batch 1, ms", "w1-inference", "batch 1"),
    ("W2, inference, batch 64, ms", "w2-inference", "batch 64"),
    ("ResNet-18 at 224 × 224, inference, batch 1, ms", "resnet18-inference", "batch 1"),
    ("W2, training step, peak memory, MiB", "memory", "W2 step, batch 64"),
    ("`cnn train mnist`, 5 epochs, the whole training, s", "fit", "the recipe of `cnn train mnist`"),
)


def speed() -> str:
    """Beside the best PyTorch of the same rounds."""
    rows = []
    for said, name, label in SPEED:
        found = case(name, label)
        ours, torch = (number(median(found, found[who])) for who in ("ours", "best_torch"))
        which = found["best_torch"].removeprefix("PyTorch ")
        rows.append([said, ours, f"{torch} ({which})", f"**{found['ratio']:.2f}**"])
    return table(["", "ours", "best PyTorch", "ratio"], rows)


def installed() -> str:
    """What has to be installed to predict."""
    found = sizes()
    ours, runtime, torch = (
        next(s for n, s in found.items() if w in n) for w in ("to predict", "onnxruntime", "PyTorch")
    )
    return (
        f"`load_model(path).predict(x)` needs NumPy and safetensors alone: {ours} MiB installed, beside {runtime} for "
        f"onnxruntime and {torch} for PyTorch without CUDA "
        "([`benchmarks/installed_size.py`](benchmarks/installed_size.py))."
    )


def faults() -> str:
    """Trials for the record."""
    rows = []
    for path in sorted((HERE / "results" / "faults").glob("*.json")):
        found = json.loads(path.read_text(encoding="utf-8"))
        rows.append([found["what"], f"{found['trials']:,}", f"{found['survived']:,}", found["lost"]])
    return table(["", "trials", "survived", "lost"], rows)


BLOCKS: dict[str, Callable[[], str]] = {
    block.__name__: block for block in (promises, accuracy, accuracy_elsewhere, speed, installed, faults)
}


def written(text: str) -> str:
    """A page with the figures as they are now."""
    return BLOCK.sub(lambda found: f"{found[1]}{BLOCKS[found[2]]()}\n{found[3]}", text)


def main() -> None:
    """Write, or compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="fail if the page has other figures")
    page, check = ROOT / "README.md", parser.parse_args().check
    text = page.read_text(encoding="utf-8")
    if check and written(text) != text:
        sys.exit("README.md has other figures than benchmarks/results; run python benchmarks/front_page.py")
    if not check:
        page.write_text(written(text), encoding="utf-8")


if __name__ == "__main__":
    main()
