"""A filter of random weights finds out which edge filter made a picture. Run me: python learn_an_edge_filter.py

Only convolution, its gradient and an optimizer: no layer, no network.
"""

import numpy as np

from cnn_from_scratch import SGD
from cnn_from_scratch.insight import landscape
from cnn_from_scratch.ops import conv_backward, conv_forward, mse_backward, mse_forward

SOBEL = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], np.float32)[None, None]  # (F, C, KH, KW)

picture = landscape().mean(0)[None, None]  # (N, C, H, W), a drawing in grey
x = (picture - picture.mean()) / picture.std()
target, _ = conv_forward(x, SOBEL)  # all that is known about the filter

params = {"weight": np.random.default_rng(0).normal(0, 0.5, SOBEL.shape).astype(np.float32)}
optimizer = SGD(lr=0.02, momentum=0.9)
for step in range(201):
    y, cache = conv_forward(x, params["weight"])
    loss, loss_cache = mse_forward(y, target)
    _, dweight, _ = conv_backward(mse_backward(loss_cache), cache, need_dx=False)
    if step % 40 == 0:
        print(f"step {step:3}: loss {float(loss):.6f}")
    optimizer.step(params, {"weight": dweight})

learned = params["weight"][0, 0]
print(f"learned:\n{learned.round(3)}\nwanted:\n{SOBEL[0, 0]}")
assert np.abs(learned - SOBEL[0, 0]).max() < 0.05
