"""A training that may be killed at any moment. Run me, press Ctrl-C, run me again: python resume_training.py [FOLDER]

What comes out is, bit by bit, what comes out if nobody presses anything. All that is random is derived from the seed
and the place in the training, so the checkpoint holds numbers and a position, and no state of a generator.
"""

import hashlib
import sys

import numpy as np

from cnn_from_scratch import AdamW, evaluate, fit, load_digits
from cnn_from_scratch.data import RandomShift
from cnn_from_scratch.models import digits_cnn
from cnn_from_scratch.optim import cosine
from cnn_from_scratch.training import AverageWeights, BestWeights, load_checkpoint_model

EPOCHS, BATCH_SIZE = 8, 64
digits = load_digits()
x, y = digits.train.x.astype(np.float32) / 16, digits.train.y
test = digits.test.x.astype(np.float32) / 16, digits.test.y
steps = EPOCHS * -(-len(x) * 4 // 5 // BATCH_SIZE)  # a fifth is held out

folder = sys.argv[1] if len(sys.argv) > 1 else "checkpoints"
model = digits_cnn(seed=0)
try:
    history = fit(
        model,
        (x, y),
        epochs=EPOCHS,
        batch_size=BATCH_SIZE,
        optimizer=AdamW(3e-3, weight_decay=0.01),
        schedule=cosine(3e-3, steps),
        validation=0.2,
        augment=RandomShift(1),
        callbacks=[AverageWeights(0.95), BestWeights()],
        shards=1,
        checkpoint=folder,
        every=10,  # steps; and at the end of every epoch
        resume=True,  # go on, if there is something to go on with
    )
except KeyboardInterrupt:
    sys.exit(f"\nbroken off; everything is in {folder}: run me again")

print(history)
digest = hashlib.sha256(b"".join(array.tobytes() for array in model.params.values())).hexdigest()
print(f"SHA-256 of the weights: {digest[:16]}")
print(f"{evaluate(model, test).accuracy:.1%} of the test digits")
best = load_checkpoint_model(f"{folder}/best.safetensors")  # the weights themselves; `model` has their average
print(f"{evaluate(best, test).accuracy:.1%} in the best epoch, without averaging")
