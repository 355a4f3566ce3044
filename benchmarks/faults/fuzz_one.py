"""One reader under atheris; started by fuzz_readers.py, which says what counts as an escape."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import sys
import time
import traceback
import warnings
from pathlib import Path
from random import Random

import atheris

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))
with atheris.instrument_imports(
    include=["cnn_from_scratch", "tarfile", "zipfile", "pickletools"], enable_loader_override=False
):
    import zipfile  # noqa: F401

    from fuzzing.guard import guard
    from fuzzing.readers import READERS, watch

    from cnn_from_scratch.errors import CnnError

SECONDS = 5.0
MEMORY = 1536 << 20
LONGEST = 1 << 14


class One:
    """A reader, and what was counted."""

    def __init__(self, name: str, count: int, work: Path) -> None:
        self.reader, self.count, self.work = READERS[name], count, work
        self.path = (
            Path("/dev/shm" if os.access("/dev/shm", os.W_OK) else work) / f"fuzz-{os.getpid()}{self.reader.suffix}"
        )
        self.inputs = self.past = self.read = 0
        self.escapes: dict[str, int] = {}
        self.passed = False
        self.began = time.monotonic()

    def one_input(self, data: bytes) -> None:
        """Read one file."""
        self.path.write_bytes(data)
        self.passed = False
        began = time.process_time()
        problem = self.problem()
        if time.process_time() - began > SECONDS:
            problem = f"takes {time.process_time() - began:.0f} s"
        if guard().seen:
            problem = f"causes {guard().seen[0]}"
        self.inputs += 1
        self.past += self.passed
        if problem:
            self.keep(problem, data)
        if self.inputs % 2000 == 0 or self.inputs >= self.count or problem:
            self.write()
        if self.inputs >= self.count:
            self.path.unlink()
            os._exit(0)

    def problem(self) -> str:
        """What is wrong with what the reader does; empty if nothing is."""
        try:
            with guard().watching(self.path):
                self.reader.read(self.path)
        except CnnError as error:
            return "" if self.path.name in str(error) else f"names no file: {type(error).__name__}: {error}"
        except Exception as error:
            if self.reader.allowed and type(error) is ValueError and self.reader.allowed in str(error):
                return ""
            return "".join(traceback.format_exception(error))
        except BaseException as error:  # as a panic of a library in Rust
            return "".join(traceback.format_exception(error))
        self.read += 1
        return ""

    def keep(self, problem: str, data: bytes) -> None:
        """Count an escape, by where it came from; the first of each kind is written down."""
        lines = problem.strip().splitlines()
        frames = [line.strip() for line in lines if line.strip().startswith("File ")]
        kind = f"{lines[-1][:80]} | {frames[-1] if frames else ''}" if frames else lines[-1][:60]
        self.escapes[kind] = self.escapes.get(kind, 0) + 1
        if self.escapes[kind] == 1:
            name = f"{self.reader.name}-{hashlib.sha256(kind.encode()).hexdigest()[:8]}"
            (self.work / f"escape-{name}{self.reader.suffix}").write_bytes(data)
            (self.work / f"escape-{name}.txt").write_text(problem, errors="backslashreplace")

    def write(self) -> None:
        """What was counted so far."""
        found = {
            "inputs": self.inputs,
            "past_header": self.past,
            "read": self.read,
            "escapes": self.escapes,
            "seconds": round(time.monotonic() - self.began, 1),
        }
        (self.work / f"{self.reader.name}.json").write_text(json.dumps(found))

    def pass_header(self) -> None:
        self.passed = True


def warm(one: One) -> None:
    """Read the seeds once, so that all is imported; they must be read without an error."""
    for seed in one.reader.seeds():
        one.path.write_bytes(seed)
        if problem := one.problem():
            raise SystemExit(f"{one.reader.name}: a seed is not read: {problem}")
    one.path.write_bytes(b"none")
    one.problem()


def limit_memory() -> None:
    """No more than now and MEMORY."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY,) * 2)


def main() -> None:
    name, count, work = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    warnings.simplefilter("ignore")
    one = One(name, count, work)
    with atheris.instrument_imports(include=["cnn_from_scratch"], enable_loader_override=False):
        warm(one)
    one.read = 0
    corpus = work / "corpus" / name
    corpus.mkdir(parents=True, exist_ok=True)
    for i, seed in enumerate(one.reader.seeds()):
        (corpus / f"seed-{i}").write_bytes(seed)
    watch(one.reader, one.pass_header)
    limit_memory()

    def mutate(data: bytes, longest: int, seed: int) -> bytes:
        rng = Random(seed)
        found = atheris.Mutate(data, longest) if rng.random() < 0.3 else one.reader.mutate(data, rng)
        return found[:longest]

    flags = [
        f"-max_len={LONGEST}",
        "-timeout=120",
        "-rss_limit_mb=0",
        "-verbosity=0",
        "-print_final_stats=0",
        "-seed=1",
        "-close_fd_mask=0",
        f"-artifact_prefix={work}/died-{name}-",
    ]
    atheris.Setup([sys.argv[0], *flags, str(corpus)], one.one_input, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
