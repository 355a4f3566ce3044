"""Training without `fit`: batches, forward, loss, backward, update, all in plain sight. Run me: python raw_loop.py"""

import numpy as np

from cnn_from_scratch import Adam, Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential, load_digits
from cnn_from_scratch.layers import Context
from cnn_from_scratch.ops import cross_entropy_backward, cross_entropy_forward

data = load_digits().scaled()
model = Sequential(
    Conv2d(1, 16, 3, padding=1),  # (1, 8, 8) -> (16, 8, 8)
    ReLU(),
    MaxPool2d(2),  # -> (16, 4, 4)
    Conv2d(16, 32, 3, padding=1),  # -> (32, 4, 4)
    ReLU(),
    Flatten(),  # -> (512,)
    Linear(512, 10),  # -> a number for each digit
).initialize(seed=0)
optimizer = Adam(lr=0.003)
rng = np.random.default_rng(0)

for epoch in range(1, 9):
    total = 0.0
    order = rng.permutation(len(data.train.x))
    for start in range(0, len(order), 32):
        batch = order[start : start + 32]
        x, y = data.train.x[batch], data.train.y[batch]

        logits, caches = model.forward(x, Context(train=True))  # what the way back needs is in the caches
        loss, cache = cross_entropy_forward(logits, y)

        dlogits = cross_entropy_backward(cache)  # the loss, differentiated by the logits
        _, grads = model.backward(dlogits, caches, need_dx=False)  # a gradient for every parameter, by its name
        optimizer.step(model.params, grads)  # downhill

        model.commit(caches)  # what batch norm remembers; here there is none
        total += float(loss) * len(batch)
    accuracy = np.mean(model.predict(data.test.x).argmax(1) == data.test.y)
    print(f"epoch {epoch}: loss {total / len(order):.4f}, {accuracy:.1%} of the test digits are right")
