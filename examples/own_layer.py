"""A layer of your own: forward, backward, a gradient check, and its place in a network. Run me: python own_layer.py

The layer is Swish with a slope that each channel learns: y = x * s with s = sigmoid(beta[c] * x), and by the product
and chain rules dy/dx = s + beta * x * s * (1 - s) and dy/dbeta = x * x * s * (1 - s).
"""

import numpy as np

from cnn_from_scratch import Adam, Conv2d, Flatten, Layer, Linear, Sequential, evaluate, fit, load_digits
from cnn_from_scratch.layers import Context


class LearnedSwish(Layer):
    def __init__(self, channels):
        super().__init__()
        self.channels = channels  # kept under its own name, so that the layer can be printed, saved and made again
        self.params = {"beta": np.ones(channels, np.float32)}

    def reset_parameters(self, rng):
        self.params["beta"].fill(1)

    def forward(self, x, ctx):
        beta = self.params["beta"][:, None, None]  # (C, 1, 1) meets (N, C, H, W)
        s = 1 / (1 + np.exp(-beta * x))
        return x * s, (x, s, beta)  # the cache goes to backward; nothing stays in self

    def backward(self, dy, cache, *, need_dx=True):
        x, s, beta = cache
        dbeta = (dy * x * x * s * (1 - s)).sum((0, 2, 3))
        dx = dy * (s + beta * x * s * (1 - s)) if need_dx else None
        return dx, {"beta": dbeta}


def check_gradients(layer, x, step=1e-6):
    """Compare backward with (f(t) - f(-t)) / 2t along a random direction, for x and for every parameter."""
    rng = np.random.default_rng(0)
    y, cache = layer.forward(x, Context(train=True))
    dy = rng.standard_normal(y.shape)
    dx, grads = layer.backward(dy, cache)
    for name, array, gradient in [("x", x, dx), *((key, layer.params[key], grads[key]) for key in grads)]:
        start, v = array.copy(), rng.standard_normal(array.shape)
        values = []
        for t in (step, -step):
            array[...] = start + t * v
            values.append(np.sum(layer.forward(x, Context(train=True))[0] * dy))
        array[...] = start
        numeric, analytic = (values[0] - values[1]) / (2 * step), np.sum(gradient * v)
        print(f"d{name}: by backward {analytic:.6f}, by finite differences {numeric:.6f}")
        assert abs(numeric - analytic) < 1e-6 * max(1, abs(numeric))


check_gradients(LearnedSwish(3).astype(np.float64), np.random.default_rng(1).standard_normal((2, 3, 4, 5)))

data = load_digits().scaled()
model = Sequential(Conv2d(1, 16, 3, padding=1), LearnedSwish(16), Flatten(), Linear(1024, 10)).initialize(0)
fit(model, (data.train.x, data.train.y), epochs=3, batch_size=32, optimizer=Adam(lr=0.01), progress=False)
report = evaluate(model, (data.test.x, data.test.y))
print(f"{model}\nreads {report.accuracy:.1%} of {report.examples} digits it has not seen")
