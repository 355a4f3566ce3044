"""A small network that has learned to read the digits that come with the package; trained once for all tests."""

from __future__ import annotations

from functools import cache

from cnn_from_scratch.data import Normalization, load_digits
from cnn_from_scratch.layers import Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential
from cnn_from_scratch.optim import Adam
from cnn_from_scratch.training import fit


@cache
def digit_reader():
    """The model, its normalization, and the test images in [0, 1] with their labels; nobody may change them."""
    digits = load_digits().scaled()
    normalization = Normalization.of(digits.train.x)
    model = Sequential(
        {
            "conv1": Conv2d(1, 16, 3, padding=1),
            "relu1": ReLU(),
            "conv2": Conv2d(16, 16, 3, padding=1),
            "relu2": ReLU(),
            "pool": MaxPool2d(2),
            "flatten": Flatten(),
            "fc": Linear(256, 10),
        }
    ).initialize(0)
    fit(model, (normalization.apply(digits.train.x), digits.train.y), epochs=8, optimizer=Adam(5e-3), shards=1)
    for array in (*model.params.values(), digits.test.x, digits.test.y):
        array.setflags(write=False)
    return model, normalization, digits.test.x, digits.test.y
