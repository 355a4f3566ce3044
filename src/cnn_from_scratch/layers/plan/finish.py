"""What follows a convolution: pool, bias, ReLU, on a few rows at a time while they are in the cache.

Adding a constant and max(., 0) keep the order of numbers, so the largest of a window can be taken before them ::

    max(relu(a + bias), relu(b + bias)) = relu(max(a, b) + bias)

and bias and ReLU then touch a quarter of the numbers. They run over what is contiguous; where the result belongs among
the zeros of the next layer's border, a copy brings it there: NumPy copies between strides 2 to 3 times as fast as it
computes on them.
"""

from __future__ import annotations

import numpy as np

from ...typing import Array
from .stage import Writer


def finish(program: Writer, products: Array, out: Array, *, bias: Array | None, relu: bool, pool: bool) -> None:
    """Append out = relu(pool(products) + bias): products in the order of `Convolution.positions`, bias (F,)."""
    products = products.reshape(2, 2, *out.shape) if pool else products.reshape(out.shape)
    if pool:
        pairs = program.call(np.maximum, *products, out=program.scratch("pairs", 2, *out.shape))
        products = program.call(np.maximum, *pairs, out=program.scratch("pooled", *out.shape))
    place = out if out.flags.c_contiguous else products
    if bias is not None:
        products = program.call(np.add, products, program.repeated(bias, products.shape), out=place)
    if relu:
        products = program.rectify(products, place)
    if products is not out:
        program.call(np.copyto, products, out=out)
