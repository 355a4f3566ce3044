"""Downloads from a server that fails in every way that servers do: is the file whole in the end, and nothing else left?

    python benchmarks/faults/downloads.py                 400 trials, the record in benchmarks/results/faults
    python benchmarks/faults/downloads.py --trials 40     fewer

The server is `tests/faulty_server.py`, over https on this machine. Of ten trials, four break the connection at a random
byte, two kill the downloading process at a random moment and start another, and four take the server's faults in turn;
every fiftieth is eight processes at once. A trial is survived if the published bytes are in the folder and nothing
else, and if what was asked for again is no more than the rest, where server and part allow that.
"""

from __future__ import annotations

import argparse
import collections
import hashlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

from common import start, write_record
from faulty_server import FAULTS, FaultyServer, make_certificates

from cnn_from_scratch.data import DownloadError, download, transfer
from cnn_from_scratch.data.download import RemoteFile, fetch

SIZE = 300_000
CUTS = (
    "reset-once",
    "unmarked",
    "weak",
    "no-ranges",
    "changed",
    "changed-in-secret",
    "changed-and-said",
    "wrong-range",
)
GO_ON = ("reset-once", "unmarked", "weak")
"""Of those, the faults after which only the rest is asked for."""
OTHERS = tuple(sorted({*FAULTS} - {"good", "drip", "stall", *CUTS}))
FETCH = """
import sys
from cnn_from_scratch.data.download import RemoteFile, fetch
folder, url, digest, size = sys.argv[1:]
fetch(RemoteFile("file.bin", (url,), digest, int(size), gzipped=False), folder)
"""


class Trials:
    """The server, the file that it publishes, and what came of each trial."""

    def __init__(self, work: Path, seed: int) -> None:
        self.random, self.work, self.numbers = random.Random(seed), work, iter(range(1 << 30))
        authority, certificate = make_certificates(work)
        os.environ["SSL_CERT_FILE"] = str(authority)
        self.server = FaultyServer(self.random.randbytes(SIZE), certificate)
        self.outcomes: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
        self.counts: collections.Counter[str] = collections.Counter()

    def file(self, *paths: str) -> RemoteFile:
        digest = hashlib.sha256(self.server.content).hexdigest()
        return RemoteFile("file.bin", self.server.urls(*paths), digest, SIZE, gzipped=False)

    def run(self, number: int) -> bool:
        """One trial in a folder of its own."""
        kind = self.kind(number)
        self.folder = self.server.folder = self.work / f"trial-{number}"
        self.folder.mkdir()
        self.server.cut, self.server.pause, before = self.random.randrange(1, SIZE), 0.001, len(self.server.asked)
        reason = kind(before) or self.left()
        self.outcomes[kind.__name__]["trials"] += 1
        self.outcomes[kind.__name__]["survived"] += not reason
        if reason:
            print(f"\ntrial {number}, {kind.__name__}: {reason}")
        shutil.rmtree(self.folder)
        return not reason

    def kind(self, number: int) -> Callable[[int], str]:
        if number % 50 == 49:
            return self.eight_processes
        turn = number % 10
        return self.broken_off if turn < 4 else self.killed if turn < 6 else self.fault_in_turn

    def left(self) -> str:
        """What is wrong with the folder in the end, if anything is."""
        if os.listdir(self.folder) != ["file.bin"]:
            return f"the folder holds {os.listdir(self.folder)}"
        return "" if (self.folder / "file.bin").read_bytes() == self.server.content else "other bytes"

    # --- the kinds of trials ---

    def broken_off(self, before: int) -> str:
        """The connection is reset after a random number of bytes."""
        fault = self.random.choice(CUTS)
        self.server.forget(fault)
        fetch(self.file(fault), self.folder, progress=False)
        ranges = self.server.ranges()[before:]
        self.counts["went on from the byte where it broke off"] += fault in GO_ON
        if fault in GO_ON and ranges != [None, f"bytes={self.server.cut}-"]:
            return f"{fault} at {self.server.cut}: asked for {ranges}"
        return ""

    def killed(self, before: int) -> str:
        """SIGKILL (or Ctrl-C) at a random moment; the next process takes the part up."""
        self.server.pause = 0.002
        process = self.start("slow")
        while len(self.server.asked) == before and process.poll() is None:
            time.sleep(0.002)
        time.sleep(self.random.uniform(0, 0.9))
        process.send_signal(self.random.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGTERM)))
        process.wait()
        parts = list(self.folder.glob(".*.part"))
        size = sum(part.stat().st_size for part in parts)
        self.server.pause = 0.0
        if self.start("slow").wait() != 0:
            return "the second process failed"
        return self._judge_killed(size, self.server.ranges()[before + 1 :])

    def _judge_killed(self, size: int, ranges: list[str | None]) -> str:
        if size in (0, SIZE) or not ranges:
            self.counts["killed before the first byte or after the last"] += 1
            return ""
        self.counts["killed in between, and taken up"] += 1
        self.counts["bytes not sent twice"] += size
        return "" if ranges == [f"bytes={size}-"] else f"{size} bytes were there, asked for {ranges}"

    def fault_in_turn(self, before: int) -> str:
        """The first mirror has a fault, the second has not; then the faulty one alone must end, with its reason."""
        fault = OTHERS[next(self.numbers) % len(OTHERS)]
        self.server.forget(fault)
        try:
            fetch(self.file(fault), self.folder / "alone", progress=False)
            self.counts["faults that pass, with one mirror"] += 1
        except DownloadError as error:
            self.counts["one error with its reason, with one mirror"] += 1
            if f"{self.server.url(fault)}: " not in str(error) or (self.folder / "alone" / "file.bin").exists():
                return f"{fault}: {error}"
        shutil.rmtree(self.folder / "alone")
        self.server.forget(fault)
        fetch(self.file(fault, "good"), self.folder, progress=False)
        return ""

    def eight_processes(self, before: int) -> str:
        """All fetch the same file into the same folder at the same time."""
        processes = [self.start("slow") for _ in range(8)]
        codes = [process.wait() for process in processes]
        return "" if codes == [0] * 8 else f"exit codes {codes}"

    def start(self, path: str) -> Any:
        file = self.file(path)
        return start([sys.executable, "-c", FETCH, self.folder, *file.urls, file.sha256, str(file.size)], self.folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="another folder for the record")
    arguments = parser.parse_args()
    download._BACKOFF_SECONDS, transfer._TIMEOUT_SECONDS = 0.001, 5.0  # pauses are not what is tried here
    with tempfile.TemporaryDirectory() as work:
        trials = Trials(Path(work), arguments.seed)
        try:
            survived = run_all(trials, arguments.trials)
        except KeyboardInterrupt:
            sys.exit("\ninterrupted; nothing was written")
        finally:
            trials.server.close()
    print(record(trials, arguments.trials, survived, arguments.out))
    sys.exit(survived != arguments.trials)


def run_all(trials: Trials, number: int) -> int:
    survived = 0
    for trial in range(number):
        survived += trials.run(trial)
        print(f"\r{survived} of {trial + 1} survived, {number - trial - 1} to go ", end="", flush=True)
    print()
    return survived


def record(trials: Trials, number: int, survived: int, out: Path | None) -> Path:
    return write_record(
        "downloads",
        fault=["bad-mirror", "two-downloads"],
        what="A download from a faulty server: the published file is there in the end, and no part of it besides",
        how=(
            f"An https server on the same machine: connections reset at a random byte, downloading processes killed at "
            f"a random moment and started again, {len(OTHERS)} other faults in turn, eight processes at once"
        ),
        trials=number,
        survived=survived,
        lost="nothing" if survived == number else f"{number - survived} downloads",
        details={
            "kinds": {kind: dict(counts) for kind, counts in trials.outcomes.items()},
            **{name: trials.counts[name] for name in sorted(trials.counts)},
            "faults": list(OTHERS),
            "bytes of the file": SIZE,
        },
        out=out,
    )


if __name__ == "__main__":
    main()
