"""A callback that watches over a training and says in words what is wrong: where, since when, and what helps."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..errors import NotFiniteError
from ..layers import Layer
from ..layers.predict import as_model_input, in_fast_order
from ..training import Callback, Progress, StepResult
from ..training.callbacks import check_state
from ..typing import Array
from .health_look import Look, Still, layer_states, not_finite, rms, still_channels, weights_of
from .health_loss import LossWatch
from .health_rules import RULES, Past, Suspicion

if TYPE_CHECKING:
    import pandas as pd


RECENT = 50
"""Looks whose gradients make the median that later ones are compared with."""


STATE = {"findings": list, "seconds": float, "steps": int, "highest_lr": float, "loss": dict, "before": dict,
         "gradients": dict, "dead": dict, "row": list}  # fmt: skip
"""The parts of what a checkpoint keeps."""


class Finding(NamedTuple):
    """Something that is wrong; prints as a sentence."""

    epoch: int
    step: int  # within the epoch, from 0
    key: str  # of a layer or a parameter; "input" for the images, "" for the whole network
    rule: str
    value: float  # what the rule judged by
    text: str
    advice: str

    def __str__(self) -> str:
        place = f" of {self.key!r}" if self.key and self.key != "input" else ""
        return f"epoch {self.epoch}, step {self.step}: {self.rule}{place}: {self.text}. Advice: {self.advice}."


class Health(Callback):
    """Watch a training for what usually goes wrong, and say each thing once.

    Looked for are NaN and infinity (with the first layer that had them), dead units, gradients that vanish or explode
    over the layers or over time, steps that are too large or too small for the weights they change, constant channels
    of the images, saturated sigmoids, and a loss that rises or does not fall. A rule becomes a finding after three
    looks in a row, where one look can deceive. The training itself is the same, bit by bit. A look takes half of a
    step's time: with one core and batches of 128, 2 % of the training of `mnist_cnn`, 3 % of `digits_cnn`.

    Parameters
    ----------
    every : int
        A look is taken at the first step and then after so many; the loss is read at every step.
    examples : int
        So many examples of the batch are sent through the network at a look.
    probe : (N, ...), optional
        Send these through instead.
    say : callable, optional
        Called with each finding, as ``print``.

    Attributes
    ----------
    findings : list of Finding
    seconds : float
        What all looks took together.

    References
    ----------
    Glorot, Bengio: Understanding the difficulty of training deep feedforward neural networks (2010): saturation, and
    gradients over the layers. Lu et al.: Dying ReLU and initialization (arXiv 1903.06733). Karpathy: CS231n, Neural
    networks 3: the ratio of updates to weights, about 1e-3.

    Examples
    --------
    >>> from cnn_from_scratch.layers import Linear, ReLU, Sequential
    >>> from cnn_from_scratch.optim import SGD
    >>> from cnn_from_scratch.training import fit
    >>> x, y = np.eye(4, dtype=np.float32).repeat(2, 0), np.arange(4).repeat(2)
    >>> health = Health(every=1)
    >>> model = Sequential(Linear(4, 8, rng=0), ReLU(), Linear(8, 4, rng=1))
    >>> _ = fit(model, (x, y), epochs=1, optimizer=SGD(lr=1000.0), callbacks=[health], progress=False, shards=1)
    >>> [(finding.rule, finding.key) for finding in health.findings]
    [('update too large', '0.weight'), ('update too large', '2.weight')]
    """

    def __init__(
        self,
        *,
        every: int = 25,
        examples: int = 64,
        probe: Array | None = None,
        say: Callable[[Finding], object] | None = None,
    ) -> None:
        for name, value in (("every", every), ("examples", examples)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"Health: {name} must be an int >= 1, got {value!r}")
        self.every, self.examples, self.probe, self.say = every, examples, probe, say
        self._forget()

    def _forget(self) -> None:
        self.findings: list[Finding] = []
        self.seconds, self.patience = 0.0, 3
        self._steps, self._highest_lr = 0, 0.0
        self._loss = LossWatch()
        self._before: dict[str, Array] = {}
        self._gradients: dict[str, deque[float]] = {}
        self._dead: dict[str, Array] = {}
        self._row: dict[tuple[str, str], int] = {}  # in how many looks in a row something was suspected

    # --- when ---------------------------------------------------------------------------------------------------

    def on_train_begin(self, progress: Progress) -> None:
        """Forget an earlier training, and remember the weights."""
        self._forget()
        if self.probe is not None:
            self.probe = as_model_input("Health", progress.model, self.probe)
        self._remember(progress.model)

    def on_step_end(self, progress: Progress, result: StepResult) -> None:
        """Read the loss; look, if it is time to; before a look, remember the weights."""
        begin = time.perf_counter()
        self._loss.add(result.loss)
        self._highest_lr = max(self._highest_lr, float(progress.optimizer.lr))
        if self._steps % self.every == 0:
            look = self._look(progress, result)
            past = self._past(look)
            found = [suspicion for rule in RULES for suspicion in rule(look, past)]
            self._judge(progress, [*found, *self._loss.suspicions(look.lr)])
        self._steps += 1
        if self._steps % self.every == 0:
            self._remember(progress.model)
        self.seconds += time.perf_counter() - begin

    def on_not_finite(self, progress: Progress, error: NotFiniteError) -> None:
        """The training ends here; say where the numbers stopped being numbers."""
        text = str(error).removeprefix("fit: ")
        advice = f"lower the learning rate, which is {float(progress.optimizer.lr):.3g}, or clip_norm=1.0"
        self._add(progress, Suspicion("not finite", error.key or "", float("nan"), text, advice, 1))

    def state_dict(self) -> dict[str, Any]:
        """What was found, and what the next looks are compared with."""
        about_to_look = self._steps % self.every == 0  # only then is it asked what the weights were
        return {
            "findings": [list(finding) for finding in self.findings],
            "seconds": self.seconds,
            "steps": self._steps,
            "highest_lr": self._highest_lr,
            "loss": self._loss.state_dict(),
            "before": {key: value.copy() for key, value in self._before.items()} if about_to_look else {},
            "gradients": {key: list(sizes) for key, sizes in self._gradients.items()},
            "dead": {key: counts.copy() for key, counts in self._dead.items()},
            "row": [[rule, key, count] for (rule, key), count in self._row.items()],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See `Callback.load_state_dict`. (The weights of before keep their memory order, as sums depend on it.)"""
        check_state("Health", state, STATE)
        self._loss.load_state_dict(state["loss"])
        self.findings = [Finding(*finding) for finding in state["findings"]]
        self.seconds, self._steps, self._highest_lr = state["seconds"], state["steps"], state["highest_lr"]
        for key, value in state["before"].items():
            np.copyto(self._before[key], value)
        self._gradients = {key: deque(sizes, maxlen=RECENT) for key, sizes in state["gradients"].items()}
        self._dead = dict(state["dead"])
        self._row = {(rule, key): count for rule, key, count in state["row"]}

    # --- what was found -----------------------------------------------------------------------------------------

    def report(self) -> str:
        """All findings, a line each."""
        if not self.findings:
            return f"Nothing to complain about in {self._steps} steps."
        return "\n".join(map(str, self.findings))

    def to_frame(self) -> pd.DataFrame:
        """One row for each finding."""
        import pandas as pd

        return pd.DataFrame(self.findings, columns=list(Finding._fields))

    # --- how ----------------------------------------------------------------------------------------------------

    def _remember(self, model: Layer) -> None:
        """Copies of the weights, so that the next step's update can be seen; into the same memory every time."""
        for key, value in weights_of(model).items():
            if key in self._before:
                np.copyto(self._before[key], value)
            else:
                self._before[key] = value.copy(order="K")

    def _look(self, progress: Progress, result: StepResult) -> Look:
        """Measure everything that the rules ask for."""
        model, x = progress.model, self._probe(progress)
        weights = weights_of(model)
        changed = {key: rms(value - self._before[key]) for key, value in weights.items() if key in result.grads}
        bad = not_finite(model)
        still, saturated = layer_states(model, in_fast_order(x)) if x is not None and not bad else ({}, {})
        self._count_dead(still)
        return Look(
            step=self._steps,
            lr=float(progress.optimizer.lr),
            loss=result.loss,
            examples=0 if x is None else len(x),
            gradients={key: rms(grad) for key, grad in self._in_order(weights, result.grads)},
            weights={key: rms(self._before[key]) for key in changed},
            updates=changed,
            not_finite=bad,
            still=still,
            saturated=saturated,
            constant_inputs=still_channels(x) if x is not None and x.ndim == 4 and len(x) > 1 else None,
        )

    def _probe(self, progress: Progress) -> Array | None:
        """The examples to send through the network."""
        if self.probe is not None:
            return self.probe
        if progress.batch is None:
            return None
        return as_model_input("Health", progress.model, progress.batch.x[: self.examples])

    @staticmethod
    def _in_order(weights: dict[str, Array], grads: dict[str, Array]) -> Iterable[tuple[str, Array]]:
        return [(key, grads[key]) for key in weights if key in grads]

    def _count_dead(self, still: dict[str, Still]) -> None:
        """One look more for the channels that are still; the others begin anew."""
        for key, state in still.items():
            counts = self._dead.setdefault(key, np.zeros(state.size, np.int64))
            now = np.zeros(state.size, bool)
            now[state.channels] = True
            self._dead[key] = np.where(now, counts + 1, 0)

    def _past(self, look: Look) -> Past:
        """What came before this look, which then belongs to it."""
        medians = {key: float(np.median(list(sizes))) for key, sizes in self._gradients.items()}
        for key, size in look.gradients.items():
            self._gradients.setdefault(key, deque(maxlen=RECENT)).append(size)
        return Past(self._loss.first, self._loss.mean, self._highest_lr, medians, self._dead, self.patience)

    def _judge(self, progress: Progress, suspicions: Iterable[Suspicion]) -> None:
        """What has been suspected often enough is a finding, once; what is no longer suspected is forgotten."""
        suspected = {(found.rule, found.key): found for found in suspicions}
        rows = {place: self._row.get(place, 0) + 1 for place in suspected}
        for place, found in suspected.items():
            if rows[place] >= found.patience:
                self._add(progress, found)
        self._row = rows

    def _add(self, progress: Progress, found: Suspicion) -> None:
        if any((known.rule, known.key) == (found.rule, found.key) for known in self.findings):
            return
        finding = Finding(progress.epoch, progress.step, found.key, found.rule, found.value, found.text, found.advice)
        self.findings.append(finding)
        if self.say is not None:
            self.say(finding)
