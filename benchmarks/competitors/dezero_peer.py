"""DeZero, the framework that the third volume of "Deep Learning from Scratch" builds: NumPy and automatic gradients."""

from __future__ import annotations

import numpy as np

if not hasattr(np, "int"):
    setattr(np, "int", int)  # noqa: B010  DeZero 0.0.13 asks for it on import, outside of what is measured; NumPy 1.24 took it away

import dezero.functions as F  # noqa: N812
from dezero.layers import Conv2d, Linear
from dezero.models import Model
from dezero.optimizers import Adam
from nets import weights_of
from tasks import Array, Competitor, Runner, Task, Unavailable, batch
from threadpoolctl import threadpool_limits

VERSION = "dezero"


class MnistCNN(Model):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = Conv2d(32, 3, 1, 1, in_channels=1), Conv2d(64, 3, 1, 1, in_channels=32)
        self.fc1, self.fc2 = Linear(128, in_size=3136), Linear(10, in_size=128)
        weights = weights_of("mnist_cnn")
        for name in ("conv1", "conv2", "fc1", "fc2"):
            layer, weight = getattr(self, name), weights[f"{name}.weight"]
            layer.W.data = weight if name.startswith("conv") else weight.T.copy()
            layer.b.data = weights[f"{name}.bias"]

    def forward(self, x: Array) -> object:
        x = F.pooling(F.relu(self.conv1(x)), 2, 2)
        x = F.pooling(F.relu(self.conv2(x)), 2, 2)
        return self.fc2(F.relu(self.fc1(F.reshape(x, (x.shape[0], -1)))))


def build(task: Task, competitor: Competitor) -> Runner:
    """Make a training task ready."""
    if task.kind != "train" or task.net != "mnist_cnn":
        raise Unavailable("not written")
    threadpool_limits(competitor.threads, user_api="blas")
    model, (x, y) = MnistCNN(), batch(task)
    optimizer = Adam().setup(model)

    def gradients() -> float:
        loss = F.softmax_cross_entropy(model(x), y)
        model.cleargrads()
        loss.backward()
        return float(loss.data)

    def values() -> dict[str, Array]:
        found = {"loss": np.array(gradients())}
        for name in ("conv1", "conv2", "fc1", "fc2"):
            layer = getattr(model, name)
            dweight = layer.W.grad.data
            found |= {f"{name}.weight": dweight if dweight.ndim == 4 else dweight.T, f"{name}.bias": layer.b.grad.data}
        return found

    return Runner(lambda: (gradients(), optimizer.update()), values)
