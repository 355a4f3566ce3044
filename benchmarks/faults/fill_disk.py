"""Trainings that run into a full disk, or into a limit on the size of files, at random moments, and go on later.

    python benchmarks/faults/fill_disk.py --trials 30                   a small disk that somebody fills up; needs root
    python benchmarks/faults/fill_disk.py --how limit --trials 30       RLIMIT_FSIZE, from outside

The disk is a tmpfs of 32 MiB. At a random moment all of it is taken but for a part of what the next files need, so that
saves break off in the middle. A trial is a training that ended with an error for that, and had something to lose. It is
survived if nothing but whole files was left and the last line was the command that goes on; and if, with room again and
resumed as often as it took, it ends with the same model, history and figures as an undisturbed one, bit by bit.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen

from struck import Fault, on_disk, try_it

DISK = "32m"
CHECKPOINT = 1_600_000
"""Bytes; no file of these trainings is larger."""
LEAST = 65_536
"""A limit that is no less than what a process prints into its file."""

HOW = (
    "`cnn train digits` with a checkpoint after every step {}, at a moment spread evenly over its run, and is resumed "
    "without that, again and again until it is done; its model, history and figures are compared bit by bit with those "
    "of an undisturbed run"
)


def fill(process: Popen[bytes], run: Path, moments: random.Random) -> str:
    """Take the free space of the disk, all but a random part of a checkpoint."""
    left = int(moments.uniform(0, CHECKPOINT))
    with (run.parent / "filler").open("wb") as file:
        while process.poll() is None:
            state = os.statvfs(run.parent)
            try:
                os.posix_fallocate(file.fileno(), 0, max(state.f_bavail * state.f_frsize - left, 1))
                break
            except OSError:  # the training has just taken some of it
                continue
    return "ended by ENOSPC"


def make_room(run: Path) -> None:
    """Give back what `fill` took."""
    (run.parent / "filler").unlink(missing_ok=True)


def limit(process: Popen[bytes], run: Path, moments: random.Random) -> str:
    """Limit the files of a running process."""
    most = int(moments.uniform(LEAST, CHECKPOINT))
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))
    return "ended by EFBIG"


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A tmpfs for as long as the block lasts."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "none", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


FULL = Fault(
    "full_disk", ["disk-full", "resume"], "A disk that fills up while a training writes to it",
    HOW.format("writes to a tmpfs that is filled up"), (1,), fill, make_room,
)  # fmt: skip
LIMITED = Fault(
    "file_size_limit", ["disk-full", "resume"], "A limit on the size of files (EFBIG) while a training writes them",
    HOW.format("is given a limit on the size of files by RLIMIT_FSIZE"), (1,), limit,
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--how", choices=["full", "limit"], default="full")
    parser.add_argument("--trials", type=int, default=30, help="at least so many; the last training comes to its end")
    parser.add_argument("--seed", type=int, default=0, help="decides the moments")
    parser.add_argument("--out", type=Path, help="folder for the record; otherwise benchmarks/results/faults")
    arguments = parser.parse_args()
    fault, place = (FULL, small_disk) if arguments.how == "full" else (LIMITED, on_disk)
    sys.exit(try_it(fault, arguments.trials, arguments.seed, arguments.out, place))


if __name__ == "__main__":
    main()
