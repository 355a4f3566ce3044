"""The process that works: rounds of all jobs until the time is up."""

from __future__ import annotations

import signal
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
from soak_jobs import JOBS, TEST, Bench
from threadpoolctl import threadpool_info

from cnn_from_scratch.data import load_mnist
from cnn_from_scratch.models import mnist_cnn
from cnn_from_scratch.optim import Adam
from cnn_from_scratch.training import evaluate


def work(connection: Connection, seconds: float, folder: Path, data_dir: str | None) -> None:
    """Rounds of all jobs until the time is up; after each round the watcher is let look, with nothing going on."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs are started without it
    dataset = load_mnist(data_dir)
    (x, y), (a, b) = dataset.train, dataset.test
    train, test = (x.astype(np.float32) / 255, y), (a[:TEST].astype(np.float32) / 255, b[:TEST])
    model, until = mnist_cnn(dropout=0.25), time.monotonic() + seconds
    bench, limits = Bench(model, Adam(), train, test, folder, 0), blas_threads()
    connection.send(("ready", {}))
    while time.monotonic() < until:
        for job in JOBS:
            begin = time.monotonic()
            images = job(bench)
            connection.send(("job", {"job": job.__name__, "images": images, "seconds": time.monotonic() - begin}))
        assert blas_threads() == limits, f"BLAS has {blas_threads()} threads, it had {limits}"
        connection.send(("rest", {"round": bench.round, "python_threads": threading.active_count()}))
        connection.recv()
        bench = bench._replace(round=bench.round + 1)
    connection.send(("end", {"accuracy": evaluate(model, test).accuracy}))


def blas_threads() -> list[int]:
    """How many threads each BLAS may use."""
    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]
