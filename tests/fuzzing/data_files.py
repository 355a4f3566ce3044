"""Files of data: small valid ones, how they are read, and changes that keep checksums right."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from pathlib import Path
from random import Random

import numpy as np

from .mutations import mutate_bytes

LIMIT = 64 << 20
"""The most bytes that are accepted, where a reader can be told."""


def idx_seeds() -> list[bytes]:
    labels = bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 1])
    images = bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 3]) + bytes(range(18))
    floats = bytes([0, 0, 13, 1, 0, 0, 0, 2]) + np.array([1, 2], ">f4").tobytes()
    return [labels, images, floats]


def mutate_idx(data: bytes, rng: Random) -> bytes:
    """Other sizes or numbers behind the first four bytes."""
    axes, found = data[3], bytearray(data)
    if axes and rng.random() < 0.3:
        at = 4 + 4 * rng.randrange(axes) + 3
        found[at] = rng.randrange(6)
        return bytes(found)
    return data[: 4 + 4 * axes] + mutate_bytes(data[4 + 4 * axes :], rng)


def idx(path: Path) -> None:
    from cnn_from_scratch.data import read_idx

    read_idx(path, max_bytes=LIMIT)


BATCH = 64
"""Bytes in a batch of the small archives here."""


def tar_seeds() -> list[bytes]:
    found = []
    for form in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w", format=form) as archive:
            for name in (
                "cifar/a.bin",
                "cifar/" + "long" * (10 if form == tarfile.USTAR_FORMAT else 30),
                "cifar/b.bin",
            ):
                info = tarfile.TarInfo(name)
                info.size = BATCH
                archive.addfile(info, io.BytesIO(bytes(BATCH)))
        found.append(packed.getvalue()[:8192])
    return [*found, gzip.compress(found[0], mtime=0)]


def tar(path: Path) -> None:
    from cnn_from_scratch.data.cifar import _read_members

    _read_members(path, {"cifar/a.bin", "cifar/b.bin"}, BATCH)


def npz_seeds() -> list[bytes]:
    arrays = {"x": np.arange(6, dtype=np.float32).reshape(2, 3), "y": np.array([True, False]), "z": np.array(3)}
    found = []
    for save in (np.savez, np.savez_compressed):
        target = io.BytesIO()
        save(target, **arrays)
        found.append(target.getvalue())
    return found


def npz(path: Path) -> None:
    from cnn_from_scratch.data import read_npz

    read_npz(path, max_bytes=LIMIT)


def mutate_npz(data: bytes, rng: Random) -> bytes:
    """One array changed, and its checksum right."""
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        content = {entry.filename: file.read(entry) for entry in file.infolist()}
    name = rng.choice(list(content))
    content[rng.choice((name, name, "x", "../a.npy"))] = mutate_bytes(content.pop(name), rng)
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as file:
        for name, part in content.items():
            file.writestr(name, part)
    return target.getvalue()


def image_seeds(form: str) -> list[bytes]:
    from PIL import Image

    rng = np.random.default_rng(0)
    colours = Image.fromarray(rng.integers(0, 256, (9, 7, 3), np.uint8))
    found = []
    for mode in ("L", "RGB", "P", "RGBA", "1"):
        for more in ({}, {"save_all": True, "append_images": [colours.convert(mode)]}):
            target = io.BytesIO()
            try:
                colours.convert(mode).save(target, form, **more)
            except (OSError, KeyError, ValueError):
                continue  # a mode that the format does not have
            found.append(target.getvalue())
    return sorted(set(found), key=len)


def image(path: Path) -> None:
    from cnn_from_scratch.data import fit_picture, prepare_digit, prepare_imagenet
    from cnn_from_scratch.data.folder import _read_image, _Reading

    _read_image(path, _Reading((5, 4), 3, 1 << 22))
    fit_picture(path, (5, 4), channels=3)
    prepare_imagenet(path, resize=5, size=4)
    prepare_digit(path)
