"""Operations whose own tests do not ask for it: in the steady state, their large arrays come from the store."""

from __future__ import annotations

import numpy as np
import pytest
from ladder import assert_recycles

from cnn_from_scratch import ops
from cnn_from_scratch.ops import to_hwnc

CALLS = {
    "pad": ((((1, 1), (2, 2)),), {"mode": "constant"}),
    "pad reflect": ((((1, 1), (2, 2)),), {"mode": "reflect"}),
    "upsample": ((2,), {}),
    "adaptive_avg_pool": ((4,), {}),
    "adaptive_avg_pool overlapping": ((5,), {}),
    "adaptive_max_pool": ((4,), {}),
    "global_avg_pool": ((), {}),
    "global_max_pool": ((), {}),
    "softmax": ((), {"axis": 1}),
    "log_softmax": ((), {"axis": 1}),
    "dropout": ((), {"p": 0.5, "train": True, "rng": np.random.default_rng(0)}),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("order", [np.ascontiguousarray, to_hwnc])
def test_operations_recycle_their_memory(name, order):
    args, options = CALLS[name]
    forward, backward = (getattr(ops, f"{name.split()[0]}_{way}") for way in ("forward", "backward"))
    x = order(np.random.default_rng(0).standard_normal((16, 16, 32, 32)).astype(np.float32))

    def run():
        y, cache = forward(x, *args, **options)
        backward(y, cache)

    assert_recycles(run, x.nbytes / 4)
