"""What images are like: penalties for pixels that no photograph or drawing has, with their gradients, and a blur.

An image that excites a neuron most is mostly noise: the network has never seen such pixels and does not mind. These
penalties ask for neighbours that resemble each other and for few extreme values.
"""

from __future__ import annotations

import math

import numpy as np

from ..ops.utils import check_rank
from ..optim.checks import check_number
from ..typing import Array

SMOOTH = 1e-4
"""Added to the squared differences, so that their root has a gradient where neighbours are equal."""


def total_variation(x: Array, *, beta: float = 1.0) -> tuple[Array, Array]:
    """sum_{c,h,w} ((x[c,h,w+1] - x[c,h,w])^2 + (x[c,h+1,w] - x[c,h,w])^2 + s)^(beta/2) - s^(beta/2)

    Differences across the edge are 0, and s = 1e-4. With beta = 1 sharp edges cost as much as soft ones, so flat areas
    with clear outlines are what remains; with beta = 2 edges become soft.

    Parameters
    ----------
    x : (N, C, H, W)
    beta : float
        Above 0.

    Returns
    -------
    value : (N,)
        0 for an image of one colour.
    gradient : (N, C, H, W)
        Of the sum of the values.

    Raises
    ------
    ShapeError, ValueError
        If x is no batch of images, or beta not above 0.

    References
    ----------
    Rudin, Osher, Fatemi: Nonlinear total variation based noise removal algorithms (1992). Mahendran, Vedaldi:
    Understanding Deep Image Representations by Inverting Them (2014), section 2. https://arxiv.org/abs/1412.0035

    Examples
    --------
    One step of 1 between two pixels:

    >>> value, gradient = total_variation(np.array([[[[0.0, 1.0]]]]), beta=2.0)
    >>> value, gradient
    (array([1.]), array([[[[-2.,  2.]]]]))
    """
    check_rank("total_variation", "x", x, "N C H W")
    _check_positive("total_variation", "beta", beta)
    across, down = np.zeros_like(x), np.zeros_like(x)
    np.subtract(x[..., 1:], x[..., :-1], out=across[..., :-1])
    np.subtract(x[..., 1:, :], x[..., :-1, :], out=down[..., :-1, :])
    squares = across**2 + down**2 + SMOOTH
    value = (squares ** (beta / 2) - SMOOTH ** (beta / 2)).sum((1, 2, 3))

    slope = beta * squares ** (beta / 2 - 1)  # by half of the square
    across *= slope
    down *= slope
    gradient = -across - down
    gradient[..., 1:] += across[..., :-1]
    gradient[..., 1:, :] += down[..., :-1, :]
    return value, gradient


def alpha_norm(x: Array, *, alpha: float = 6.0) -> tuple[Array, Array]:
    """sum_{c,h,w} |x[c,h,w]|^alpha

    alpha = 2 is the L2 decay that pulls every pixel towards 0; a large alpha leaves small values alone and keeps
    extreme ones away; alpha = 1 makes pixels exactly 0 where nothing speaks against it.

    Parameters
    ----------
    x : (N, C, H, W)
        Deviations from what is normal: an image minus the mean colour.
    alpha : float
        At least 1.

    Returns
    -------
    value : (N,)
    gradient : (N, C, H, W)
        Of the sum of the values.

    Raises
    ------
    ShapeError, ValueError
        If x is no batch of images, or alpha is below 1.

    References
    ----------
    Mahendran, Vedaldi (2014), section 2, alpha = 6. https://arxiv.org/abs/1412.0035

    Examples
    --------
    >>> alpha_norm(np.array([[[[1.0, -2.0]]]]), alpha=2.0)
    (array([5.]), array([[[[ 2., -4.]]]]))
    """
    check_rank("alpha_norm", "x", x, "N C H W")
    check_number("alpha_norm", "alpha", alpha, minimum=1.0)
    size = np.abs(x)
    return (size**alpha).sum((1, 2, 3)), alpha * size ** (alpha - 1) * np.sign(x)


def gaussian_blur(x: Array, sigma: float) -> Array:
    """y = x convolved with exp(-(h^2 + w^2) / (2 sigma^2)), scaled to sum 1; beyond the edge is what is at the edge

    Parameters
    ----------
    x : (N, C, H, W)
    sigma : float
        In pixels, at least 0; 0 gives a copy.

    Returns
    -------
    y : (N, C, H, W)

    Raises
    ------
    ShapeError, ValueError
        If x is no batch of images, or sigma is below 0.

    Examples
    --------
    The bell loses its height, and nothing gets lost:

    >>> y = gaussian_blur(np.array([[[[0.0, 0.0, 1.0, 0.0, 0.0]]]]), 0.5)
    >>> y.round(2), y.sum().round(6)
    (array([[[[0.  , 0.11, 0.79, 0.11, 0.  ]]]]), np.float64(1.0))
    """
    check_rank("gaussian_blur", "x", x, "N C H W")
    check_number("gaussian_blur", "sigma", sigma)
    radius = math.ceil(3 * sigma)
    if not (radius and x.size):
        return np.array(x)
    bell = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    bell /= bell.sum()
    for axis in (2, 3):
        size = x.shape[axis]
        places = np.arange(-radius, size + radius).clip(0, size - 1)
        padded = x.take(places, axis)
        x = np.add.reduce([float(b) * padded.take(range(k, k + size), axis) for k, b in enumerate(bell)])
    return x


def _check_positive(function: str, name: str, value: float) -> None:
    check_number(function, name, value)
    if not value:
        raise ValueError(f"{function}: {name} must be above 0, got {value!r}")
