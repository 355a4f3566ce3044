"""The page docs/benchmarks.md and its pictures, from the JSON files that `speed.py` has written.

python benchmarks/report.py
python benchmarks/report.py --results FOLDER --docs FOLDER
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any, NamedTuple

from report_pictures import draw_pictures
from report_tables import at_a_glance, by_case, by_competitor, missing
from workloads import WORKLOADS

HERE = Path(__file__).resolve().parent

MEASURED = """\
- **Same network, same weights, same batch.** Before anything is timed, everybody computes the loss and all gradients
  (or the outputs) from the same weights, and they are compared; how far apart they are stands below the figures, and
  for the three training steps in float64, too, where rounding makes no ReLU or maximum fall the other way.
- **Two cores for everybody**: PyTorch with 2 threads, onnxruntime with 1 and 2, BLAS of other NumPy code with 2, ours
  with 2 shards of the batch, the second in a forked process.
- **A process for each competitor**, which builds its network once and then sleeps until it is asked.
- **In turn**: a burst of calls each, round after round, so that the machine's moods hit all alike. Before each burst
  there is a pause and a call that is not timed. A sample is the median of a burst; a figure is the median of the
  samples, the range behind it their quartiles.
- **The ratio is of medians of the same rounds, against the fastest PyTorch there**: in its own memory order and in
  channels_last (weights and images converted beforehand), eager and compiled, with malloc as it comes and
  with malloc told to keep its memory (`MALLOC_MMAP_THRESHOLD_`, `MALLOC_TRIM_THRESHOLD_`; what our library does for
  itself). Its Adam is the fused one, several times faster on a CPU than the default. Ours gets its images in the order
  (N, C, H, W), converts them in every step, and runs with malloc as it comes.
- Below 1, ours is faster. Absolute times hold for this machine only.
"""

SECTIONS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    (
        "Training steps",
        "Forward, softmax cross-entropy, backward, Adam. W1 is `models.mnist_cnn` (batch 128, 1 x 28 x 28), W2 "
        "`models.vgg_small` (batch 64, 3 x 32 x 32), ResNet-20 `models.resnet20` (batch 128, 3 x 32 x 32). "
        "Milliseconds.",
        ("w1-step", "w2-step", "resnet20-step"),
    ),
    (
        "Inference",
        "Milliseconds for a batch. Batch norm is folded into the convolutions (PyTorch: `fx` fusion, `inference_mode`; "
        "compiled: with frozen weights). Ours is `model.compile(shape)`, which makes a plan for batches of one shape "
        "beforehand, and `model.predict`, which takes the model as it stands.",
        ("w1-inference", "w2-inference", "resnet20-inference", "resnet18-inference"),
    ),
    (
        "One convolution",
        "Without bias; the gradient of an image of 3 channels or fewer is not computed, by nobody. Ours: each half of "
        "the batch in a process of its own, lying in memory as it does in training. Milliseconds.",
        ("layers-forward", "layers-backward"),
    ),
    (
        "Growth",
        "Time of a training step per image, in milliseconds, against PyTorch's two best eager variants.",
        ("growth-w1", "growth-w2", "growth-size", "growth-depth"),
    ),
    (
        "One shard and two",
        "What the second core gives. One shard leaves BLAS as it is, on two threads, unless told otherwise.",
        ("shards",),
    ),
    (
        "Memory",
        "The most that a process ever had in three steps (`VmHWM`), less what it had after its imports: weights, "
        "moments, images and all that the step makes. MiB. The textbook network makes one large column matrix.",
        ("memory",),
    ),
    (
        "Other NumPy code",
        "The same network and step as it is taught (fancy-index im2col with `np.add.at`, as in the assignments of "
        "Stanford's CS231n; a sliding window with one large matrix product) and in DeZero, the framework that *Deep "
        "Learning from Scratch 3* builds. BLAS on 2 threads. (numpy-ml 0.1.2 cannot be imported from Python 3.10 on.)",
        ("numpy-peers",),
    ),
    (
        "A whole training",
        "Five epochs of MNIST, batch 64, from the same first weights: seconds from the first step to the last, and "
        "accuracy on the test images. With the recipe of `cnn train mnist` (augmentation, dropout, one cycle of the "
        "learning rate, a moving average of the weights) and plain (Adam and the cycle only). Images, their order and "
        "their augmentation come from our data pipeline for both; dropout draws other numbers on each side. One run "
        "each, one after the other.",
        ("fit",),
    ),
)


class Results(NamedTuple):
    """What was measured, by the name of the workload."""

    by_name: dict[str, dict[str, Any]]

    def of(self, names: tuple[str, ...]) -> list[dict[str, Any]]:
        return [self.by_name[name] for name in names if name in self.by_name]


def read_results(folder: Path) -> Results:
    """All files there are, in the order of the workloads."""
    paths = [folder / f"speed-{name}.json" for name in WORKLOADS]
    return Results({path.stem.removeprefix("speed-"): json.loads(path.read_text()) for path in paths if path.exists()})


def write_report(folder: Path, docs: Path) -> Path:
    """docs/benchmarks.md, and docs/benchmarks/*.png."""
    results = read_results(folder)
    pictures = docs / "benchmarks"
    pictures.mkdir(parents=True, exist_ok=True)
    drawn = draw_pictures(results.by_name, pictures)
    page = docs / "benchmarks.md"
    page.write_text(_page(results, drawn))
    return page


def _page(results: Results, drawn: dict[str, str]) -> str:
    """`drawn` says which picture belongs to which section."""
    parts = ["# Speed", _introduction(results), *_pictures(drawn, "")]
    parts += ["## At a glance", at_a_glance(list(results.by_name.values()))]
    parts += ["## How it was measured", MEASURED + _machine(results)]
    for title, text, names in SECTIONS:
        found = results.of(names)
        if found:
            parts += [f"## {title}", text, *_pictures(drawn, title), *_tables(found)]
            parts += [note for note in [missing(found)] if note]
    parts += ["## Again", _again()]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _tables(found: list[dict[str, Any]]) -> list[str]:
    if found[0]["workload"].startswith(("layers", "growth", "fit")):
        return [text for result in found for text in (f"### {result['title']}", by_case(result))]
    return [by_competitor(found)]


def _pictures(drawn: dict[str, str], section: str) -> list[str]:
    return [f"![{name.removesuffix('.png')}](benchmarks/{name})" for name, where in drawn.items() if where == section]


def _introduction(results: Results) -> str:
    warning = "**A quick run, to see that everything works: these figures mean nothing.**\n\n"
    quick = any(result["quick"] for result in results.by_name.values())
    return (warning if quick else "") + (
        "This page is written by `benchmarks/speed.py` from the files in `benchmarks/results`, which hold every sample."
    )


def _machine(results: Results) -> str:
    machines = sorted({_describe(result["machine"]) for result in results.by_name.values()})
    versions = sorted(
        {
            peer["version"]
            for result in results.by_name.values()
            for case in result["cases"]
            for peer in case["competitors"]
            if "version" in peer
        }
    )
    dates = sorted(result["date"][:10] for result in results.by_name.values())
    when = "" if not dates else f"Measured {dates[0]}" + (f" to {dates[-1]}" if dates[-1] != dates[0] else "") + ". "
    return f"\n{when}{' '.join(machines)} {', '.join(versions)}."


def _describe(machine: dict[str, Any]) -> str:
    return (
        f"{machine['processor']}, {machine['cores']} cores, {machine['system']}, Python {machine['python']}, "
        f"NumPy {machine['numpy']} ({machine['blas']})."
    )


def _again() -> str:
    return """\
```sh
pip install -e '.[bench]'
python benchmarks/speed.py                      # everything, and this page
python benchmarks/speed.py --only w2-step       # one workload; --list names them
python benchmarks/speed.py --continue           # only what this very code has not measured yet
python benchmarks/report.py                     # this page and its pictures again
```

A peer that is not installed is left out, and the tables say so. Let nothing else run meanwhile."""


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=HERE / "results")
    parser.add_argument("--docs", type=Path, default=HERE.parent / "docs")
    arguments = parser.parse_args()
    print(write_report(arguments.results, arguments.docs))
