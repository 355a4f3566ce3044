"""Make src/cnn_from_scratch/data/digits.npz from the digits that scikit-learn ships.

    pip download scikit-learn --no-deps -d wheels
    unzip -p wheels/scikit_learn-*.whl sklearn/datasets/data/digits.csv.gz > digits.csv.gz
    python scripts/repack_digits.py digits.csv.gz src/cnn_from_scratch/data/digits.npz

The source is the test part of "Optical Recognition of Handwritten Digits" by E. Alpaydin and C. Kaynak (1998),
https://doi.org/10.24432/C50P49, CC BY 4.0: 1,797 lines of 64 pixels in 0..16 and one label. Nothing is changed but
the container. The digest of the result is taken over the bytes of the two arrays, because that of the zip file would
depend on the version of zlib.
"""

from __future__ import annotations

import gzip
import hashlib
import sys
from pathlib import Path

import numpy as np

SOURCE_SHA256 = "09f66e6debdee2cd2b5ae59e0d6abbb73fc2b0e0185d2e1957e9ebb51e23aa22"
ARRAYS_SHA256 = "87ff0c9e40dc7e2c0e34e7257799c2e3f3aec1a016363bb11cad869ec428a826"


def repack(source: Path, target: Path) -> None:
    """Write the (1797, 8, 8) images and their labels as uint8, after checking what came in and what goes out."""
    packed = source.read_bytes()
    if hashlib.sha256(packed).hexdigest() != SOURCE_SHA256:
        raise SystemExit(f"{source}: not the file this script was written for")
    table = np.loadtxt(gzip.decompress(packed).decode("ascii").splitlines(), delimiter=",")
    images, labels = table[:, :64].reshape(-1, 8, 8).astype(np.uint8), table[:, 64].astype(np.uint8)
    if hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest() != ARRAYS_SHA256:
        raise SystemExit("the repacked arrays are not the ones that the package ships")
    np.savez_compressed(target, images=images, labels=labels)


if __name__ == "__main__":
    repack(Path(sys.argv[1]), Path(sys.argv[2]))
