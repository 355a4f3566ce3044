"""Training: epochs of batches, each a step of gradients, clipping and the optimizer."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial

from ..data import Augment, Data, iterate_batches
from ..layers import Layer
from ..ops.memory import Store
from ..optim import Adam, Optimizer
from ..parallel import default_shards
from .arguments import check_checkpoints, check_count, check_kinds, count_steps, only_trainable, split_data
from .callbacks import Callback, Progress
from .epochs import How, run_epochs, tell
from .history import History
from .interrupts import interrupt_between_steps
from .losses import LossPair, as_loss
from .meter import progress_bar
from .resume import Found, Start, find_checkpoint, restore, restore_callbacks, shards_of
from .same_training import describe
from .saver import open_saver
from .stepper import Setting
from .teams import Workers, open_team


def fit(
    model: Layer,
    data: Data,
    *,
    epochs: int,
    batch_size: int = 128,
    optimizer: Optimizer | None = None,
    schedule: Callable[[int], float] | None = None,
    loss: str | LossPair = "cross_entropy",
    label_smoothing: float = 0.0,
    validation: float | Data | None = None,
    augment: Augment | None = None,
    callbacks: Sequence[Callback] = (),
    clip_norm: float | None = None,
    clip_value: float | None = None,
    seed: int = 0,
    shuffle: bool = True,
    drop_last: bool = False,
    prefetch: int = 0,
    shards: int | None = None,
    workers: Workers = "auto",
    trainable: str | Sequence[str] = "*",
    progress: bool = True,
    checkpoint: str | os.PathLike[str] | None = None,
    every: int | None = None,
    keep: int = 2,
    resume: bool = False,
) -> History:
    """Train a model, in place.

    Parameters
    ----------
    model : Layer
        Trained as it stands: `fit` never initialises.
    data : (x, y), or anything with ``__len__`` and ``batch(indices, rng) -> (x, y)``
        Floating images and their targets: class indices, or what the loss asks for.
    epochs, batch_size : int
        At least 1.
    optimizer : Optimizer
        `Adam()` unless given.
    schedule : callable
        ``schedule(step) -> lr``, with step counted from 0 over the whole training; sets ``optimizer.lr``.
    loss : str or (forward, backward)
        "cross_entropy", "binary_cross_entropy", "mse", "l1" or "huber".
    label_smoothing : float
        Share of the target that cross-entropy spreads over all classes.
    validation : float or data
        A share of `data` to hold out (stratified by class where targets are class indices; needs a pair of
        arrays), or data of its own. Measured after every epoch; nothing learns from it.
    augment : callable
        ``augment(x, rng) -> x``, applied to every training batch.
    callbacks : sequence of Callback
        See `Callback`; `EarlyStopping`, `BestWeights`, `AverageWeights`.
    clip_norm, clip_value : float
        Limit the norm of all gradients together, or each of their elements.
    seed : int
        Decides the order, the augmentation and dropout, all of it, whatever ran before.
    shuffle, drop_last, prefetch
        See `cnn_from_scratch.data.iterate_batches`.
    shards : int
        Into how many parts a batch is cut; one per core unless told otherwise. A run is bitwise repeatable for
        a given number of shards; a run of one shard, also for a given number of BLAS threads, which every run of
        several shards sets to one as long as it lasts.
    workers : "auto", "threads" or "processes"
        Who computes the shards. Forked processes do not wait for each other's Python, which makes small networks up
        to a third faster; they are there on Linux, for models and losses of this package alone, since a fork would
        not notice what your own code changes as it goes. "auto" takes them where it can and no thread of yours is
        running (daemons aside), else threads. Ask for "processes" yourself only if no other thread multiplies
        matrices outside of this package as the training starts: OpenBLAS can hang at a fork then. The numbers are
        the same, bit by bit.
    trainable : str or sequence of str
        Patterns over the keys of parameters; all others stay frozen for this training.
    progress : bool
        Show a bar with loss, accuracy, images per second and the time left.
    checkpoint : path, optional
        A folder, made if it is missing, for checkpoints: files that hold all that a training needs to go on. One is
        written at the end of every epoch, and where an interruption ends the training. They are named
        ``checkpoint-EPOCH-STEPS.safetensors``; ``best.safetensors`` is that of the best epoch (by val_loss where there
        is validation, else by loss). `load_checkpoint_model` takes the model out of one. To write one takes 40 ms for
        `mnist_cnn` with Adam's moments (5 MB), most of it waiting for the disk.
    every : int, optional
        Steps between two checkpoints, besides those.
    keep : int
        How many of the last checkpoints are kept, at least 1. Two leave one to go back to, should the last be damaged.
    resume : bool
        Go on from the last checkpoint that can be read; begin where there is none, so that the same script can be run
        again and again. What comes out is bitwise what an uninterrupted training gives: parameters, buffers, moments,
        callbacks, history but for the times. All else must be given as it was: the same data, model and settings;
        `epochs` may be larger, and shards=None takes as many as before.

    Returns
    -------
    History
        One row an epoch.

    Raises
    ------
    TypeError
        If images are integers (divide them by 255), or data is not what it should be.
    ShapeError
        If an example does not fit into the model; raised before anything is computed, naming the layer.
    FloatingPointError
        If loss or gradients are no longer finite, naming layer, epoch and step. The parameters are those before
        that step; the last checkpoint stays.
    KeyboardInterrupt
        After Ctrl-C, and as its subclass `Terminated` after SIGTERM, at the end of the step; the model is whole, and
        there is a checkpoint of this step. (A second one does not wait.) Handlers of your own stay as they are.
    ValueError
        If there are checkpoints already and `resume` was not asked for, or what is resumed differs from before.
    FormatError
        If every checkpoint is damaged. (If only the last is: RuntimeWarning, and the one before is taken.)
    OSError
        If a checkpoint cannot be written, as the disk is full; the model is whole, older checkpoints are as they were.
        PermissionError, before anything is computed, if the folder cannot be written.

    Examples
    --------
    >>> import numpy as np
    >>> from cnn_from_scratch.layers import Linear, Sequential
    >>> x = np.array([[-1.0], [1.0]], np.float32).repeat(8, axis=0)
    >>> y = np.array([0, 1]).repeat(8)
    >>> model = Sequential(Linear(1, 2, rng=0))
    >>> history = fit(model, (x, y), epochs=20, batch_size=4, optimizer=Adam(lr=0.1), progress=False)
    >>> history["accuracy"][-1]
    1.0

    Checkpoints, and a training that goes on from them:

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for epochs in (1, 3):
    ...         model, options = Sequential(Linear(1, 2, rng=0)), {"checkpoint": folder, "resume": True}
    ...         history = fit(model, (x, y), epochs=epochs, shards=1, progress=False, **options)
    ...         print(history["epoch"], sorted(os.listdir(folder))[-1])
    [1] checkpoint-00001-00000001.safetensors
    [1, 2, 3] checkpoint-00003-00000003.safetensors
    """
    check_count("epochs", epochs)
    check_count("batch_size", batch_size)
    optimizer = Adam() if optimizer is None else optimizer
    check_kinds(model, optimizer, schedule, augment, callbacks)
    check_checkpoints(checkpoint, every, keep, resume)
    chosen = as_loss(loss, label_smoothing=label_smoothing)
    source, held_out = split_data(data, validation, augment, seed)
    steps = count_steps(source, batch_size, drop_last)
    found = None if checkpoint is None else find_checkpoint(checkpoint, resume=resume)
    count = _count_shards(shards, batch_size, found)
    batches = partial(
        iterate_batches, source, batch_size, seed=seed, shuffle=shuffle, drop_last=drop_last, prefetch=prefetch
    )
    given = {
        "augment": augment is not None,
        "batch_size": batch_size,
        "clip_norm": clip_norm,
        "clip_value": clip_value,
        "drop_last": drop_last,
        "examples": len(source),
        "label_smoothing": label_smoothing,
        "loss": chosen.name,
        "schedule": schedule is not None,
        "seed": seed,
        "shards": count,
        "shuffle": shuffle,
        "validation": None if held_out is None else len(held_out),
    }
    start = Start(Progress(model, optimizer, History(), 0, 0, steps, epochs, held_out is not None))
    with only_trainable(model, trainable):
        saver = None
        if checkpoint is not None:
            settings = given | describe(model, optimizer, callbacks, scheduled=schedule is not None)
            saver = open_saver(checkpoint, every, keep, settings, callbacks, found, start)
            start = start if found is None else restore(found, start)
        with (
            open_team(model, chosen, count, workers) as team,
            progress_bar(progress, len(source), epochs) as bar,
            interrupt_between_steps() as interrupt,
        ):
            setting = Setting(model, optimizer, chosen, team, Store(), clip_norm, clip_value)
            how = How(setting, seed, schedule, callbacks, bar, interrupt, saver, held_out, batch_size)
            tell(callbacks, "on_train_begin", start.progress)
            if found is not None:
                restore_callbacks(found, callbacks)
            return run_epochs(start, batches, how)


def _count_shards(shards: int | None, batch_size: int, found: Found | None) -> int:
    """As many as were asked for, as before, or one per core."""
    if shards is None:
        return min(default_shards(), batch_size) if found is None else shards_of(found)
    count = check_count("shards", shards)
    if count > batch_size:
        raise ValueError(f"fit: shards={count} cannot share a batch_size of {batch_size}; each needs an example")
    return count
