"""Train a small network on handwritten digits, evaluate it, save it with pictures: python train_digits.py [FOLDER]"""

import sys
from pathlib import Path

from cnn_from_scratch import (
    Adam,
    BatchNorm2d,
    Conv2d,
    Flatten,
    Linear,
    MaxPool2d,
    ReLU,
    Sequential,
    evaluate,
    fit,
    load_digits,
    load_model,
    save_model,
)
from cnn_from_scratch.insight import most_confident_mistakes, save_run_pictures
from cnn_from_scratch.optim import one_cycle

EPOCHS, BATCH = 10, 64

data = load_digits().scaled()  # 1,438 + 359 images of 8x8 in [0, 1], part of the package
model = Sequential(
    Conv2d(1, 16, 3, padding=1),
    BatchNorm2d(16),
    ReLU(),
    Conv2d(16, 32, 3, padding=1),
    BatchNorm2d(32),
    ReLU(),
    MaxPool2d(2),
    Flatten(),
    Linear(32 * 4 * 4, 10),
).initialize(seed=0)
model.summary((1, 8, 8))

steps = EPOCHS * -(-len(data.train.x) // BATCH)
history = fit(
    model, data.train, epochs=EPOCHS, batch_size=BATCH, optimizer=Adam(), schedule=one_cycle(0.01, steps), seed=0
)
report = evaluate(model, data.test)
print(history)
print(report.per_class(data.classes).round(3))
print(most_confident_mistakes(report, data.classes, limit=5).round(3))
print(f"{report.accuracy:.1%} of {report.examples} digits that it has never seen are read correctly")

if len(sys.argv) > 1:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    save_model(model, folder / "model.safetensors")
    again = load_model(folder / "model.safetensors")
    assert (again.predict(data.test.x) == model.predict(data.test.x)).all()
    x, y = data.test
    run = {"history": history, "evaluation": report, "x": x, "y": y, "classes": data.classes}
    for path in save_run_pictures(folder=folder, model=model, prepare=lambda x: x, **run):
        print("wrote", path)
