"""Small networks for handwritten digits."""

from __future__ import annotations

from ..layers import BatchNorm2d, Conv2d, Dropout, Flatten, Layer, Linear, MaxPool2d, ReLU, Sequential


def mnist_cnn(in_channels: int = 1, num_classes: int = 10, *, dropout: float = 0.0, seed: int = 0) -> Sequential:
    """Two convolutions and two linear layers for images of 28 x 28; 421,642 parameters.

    Parameters
    ----------
    in_channels, num_classes : int
    dropout : float
        Probability to drop what goes into the last layer; 0 for no such layer.
    seed : int
        Where the parameters come from: He's normal numbers before a ReLU, variance 1 / fan_in before the scores.

    Examples
    --------
    >>> mnist_cnn().output_shape((1, 28, 28))
    (10,)
    """
    layers: dict[str, Layer] = {
        "conv1": Conv2d(in_channels, 32, 3, padding=1, weight_init="he_normal"),  # (32, 28, 28)
        "relu1": ReLU(),
        "pool1": MaxPool2d(2),  # (32, 14, 14)
        "conv2": Conv2d(32, 64, 3, padding=1, weight_init="he_normal"),  # (64, 14, 14)
        "relu2": ReLU(),
        "pool2": MaxPool2d(2),  # (64, 7, 7)
        "flatten": Flatten(),  # (3136,)
        "fc1": Linear(64 * 7 * 7, 128, weight_init="he_normal"),
        "relu3": ReLU(),
    }
    drop = Dropout(dropout)
    if drop.p > 0:
        layers["dropout"] = drop
    layers["fc2"] = Linear(128, num_classes, weight_init="lecun_normal")
    return Sequential(layers).initialize(seed)


def digits_cnn(in_channels: int = 1, num_classes: int = 10, *, dropout: float = 0.25, seed: int = 0) -> Sequential:
    """Four convolutions with batch norm for digits of 8 x 8; 75,434 parameters.

    Parameters
    ----------
    in_channels, num_classes : int
    dropout : float
        Probability to drop what goes into the last layer; 0 for no such layer.
    seed : int
        Where the parameters come from.

    Examples
    --------
    >>> digits_cnn().output_shape((1, 8, 8))
    (10,)
    """
    layers: dict[str, Layer] = {}
    channels = in_channels
    for i, filters in enumerate((32, 32, 64, 64), 1):
        layers[f"conv{i}"] = Conv2d(channels, filters, 3, padding=1, bias=False, weight_init="he_normal")
        layers[f"bn{i}"] = BatchNorm2d(filters)
        layers[f"relu{i}"] = ReLU()
        if i == 2:
            layers["pool"] = MaxPool2d(2)  # (32, 4, 4)
        channels = filters
    layers["flatten"] = Flatten()  # (1024,)
    drop = Dropout(dropout)
    if drop.p > 0:
        layers["dropout"] = drop
    layers["fc"] = Linear(64 * 4 * 4, num_classes, weight_init="lecun_normal")
    return Sequential(layers).initialize(seed)
