"""NumPy and safetensors are enough to predict with a saved model: tried where nothing else is installed."""

from __future__ import annotations

import json
import subprocess
import sys
import venv

import numpy as np
import pytest
from ladder import REPOSITORY

from cnn_from_scratch.formats import save_model, save_safetensors
from cnn_from_scratch.models import digits_cnn, squeezenet1_1

NEEDED = ("numpy", "safetensors")
SCRIPT = """
import importlib.util, json, sys
import numpy as np
from cnn_from_scratch import load_model, load_state_dict, squeezenet1_1

folder = sys.argv[1]
x = np.load(f"{folder}/x.npy")
y = load_model(f"{folder}/digits.safetensors").predict(x)
np.save(f"{folder}/y.npy", y)
plan = load_model(f"{folder}/digits.safetensors").compile(x[:1].shape)
np.save(f"{folder}/plan.npy", plan.predict(x))
network = squeezenet1_1(num_classes=4, seed=1)
load_state_dict(network, f"{folder}/weights.safetensors")
np.save(f"{folder}/scores.npy", network.predict(np.load(f"{folder}/photo.npy")))
others = "pandas matplotlib typer rich tqdm threadpoolctl platformdirs urllib3 PIL onnx torch".split()
print(json.dumps([name for name in others if importlib.util.find_spec(name)]))
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """The interpreter of a new environment with this package and what it needs to predict, nothing else."""
    folder = tmp_path_factory.mktemp("small")
    venv.create(folder, with_pip=True)
    python = folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    for arguments in ([*NEEDED], ["--no-deps", str(REPOSITORY)]):
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments]
        done = subprocess.run(pip, capture_output=True, text=True, timeout=280)
        if done.returncode != 0:
            pytest.skip(f"pip could not install {arguments[-1]}: {done.stderr.strip().splitlines()[-1]}")
    return python


@pytest.mark.slow
def test_predicting_needs_numpy_and_safetensors_alone(python, tmp_path):
    rng = np.random.default_rng(0)
    x, photo = (rng.standard_normal(shape).astype(np.float32) for shape in ((40, 1, 8, 8), (1, 3, 64, 64)))
    model, network = digits_cnn(seed=3), squeezenet1_1(num_classes=4, seed=2)
    save_model(model, tmp_path / "digits.safetensors")
    save_safetensors(network, tmp_path / "weights.safetensors")
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "photo.npy", photo)
    done = subprocess.run([python, "-I", "-W", "error", "-c", SCRIPT, tmp_path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == []  # nothing else was there
    for name, expected in (("y", model.predict(x)), ("plan", model.predict(x)), ("scores", network.predict(photo))):
        found = np.load(tmp_path / f"{name}.npy")
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max(), err_msg=name)


@pytest.mark.slow
def test_what_is_missing_is_named(python):
    code = "from cnn_from_scratch import load_model, fit\ntry:\n    import cnn_from_scratch.insight\n"
    code += "except ImportError as error:\n    print(error)"
    done = subprocess.run([python, "-I", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "matplotlib" in done.stdout or "pandas" in done.stdout
