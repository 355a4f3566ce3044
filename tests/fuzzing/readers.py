"""Every reader of files in this package, with small valid files and what is done to them."""

from __future__ import annotations

import contextlib
import functools
import gzip
import importlib
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from . import archives, data_files, described, model_files, onnx_files
from .mutations import mutate_bytes

Mutation = Callable[[bytes, Random], bytes]


class Reader(NamedTuple):
    """One reader."""

    name: str
    suffix: str
    fault: tuple[str, ...]
    read: Callable[[Path], Any]
    landmarks: tuple[str, ...]  # functions, as "module:name", one of which is called once the header was accepted
    make_seeds: Callable[[], list[bytes]]
    mutations: tuple[Mutation, ...] = ()  # those that keep checksums right
    allowed: str = ""  # in the text of a ValueError that says what is wrong with sound content

    def seeds(self) -> list[bytes]:
        """Small valid files."""
        return _seeds(self.name)

    def mutate(self, data: bytes, rng: Random) -> bytes:
        """A changed file; the checksums are right in two of three."""
        if self.mutations and rng.random() < 2 / 3:
            mutation = rng.choice(self.mutations)
            with contextlib.suppress(Exception):  # what was changed before may be no file of this kind any more
                return mutation(data, rng)
            with contextlib.suppress(Exception):  # or the change may be one that cannot be written
                return mutation(rng.choice(self.seeds()), rng)
        return mutate_bytes(data, rng)


IMAGES = {"png": (archives.mutate_png,), "jpeg": (), "gif": (), "bmp": (), "webp": (), "ppm": (), "tiff": ()}
DESCRIBED = (described.mutate_document, described.mutate_document, described.mutate_numbers, described.mutate_header)

READERS: dict[str, Reader] = {
    reader.name: reader
    for reader in (
        Reader(
            "idx",
            ".idx",
            ("damaged-file", "boastful-header"),
            data_files.idx,
            ("data.idx:_read_numbers",),
            data_files.idx_seeds,
            (data_files.mutate_idx,),
            "infinite values among",
        ),
        Reader(
            "idx-gzip",
            ".gz",
            ("damaged-file", "boastful-header"),
            data_files.idx,
            ("data.idx:_read_numbers",),
            lambda: [gzip.compress(seed, mtime=0) for seed in data_files.idx_seeds()],
            (archives.mutate_gzip,),
            "infinite values among",
        ),
        Reader(
            "tar",
            ".tar",
            ("tar-archive",),
            data_files.tar,
            ("data.cifar:_is_wanted",),
            data_files.tar_seeds,
            (archives.mutate_tar,),
        ),
        Reader(
            "npz",
            ".npz",
            ("hostile-tensors", "zip-bomb"),
            data_files.npz,
            ("data.npz:_unpack",),
            data_files.npz_seeds,
            (data_files.mutate_npz, archives.mutate_zip_directory),
        ),
        Reader(
            "safetensors",
            ".safetensors",
            ("hostile-tensors",),
            model_files.tensors,
            ("formats.tensors:parse_json",),
            model_files.tensors_seeds,
            (described.mutate_header,),
        ),
        Reader(
            "saved-model",
            ".safetensors",
            ("hostile-architecture", "hostile-tensors"),
            model_files.model,
            ("formats.saved_model:build",),
            model_files.model_seeds,
            DESCRIBED,
        ),
        Reader(
            "trace",
            ".safetensors",
            ("hostile-architecture", "hostile-tensors"),
            model_files.trace,
            ("insight.trace_file:assemble",),
            model_files.trace_seeds,
            DESCRIBED,
        ),
        Reader(
            "checkpoint",
            ".safetensors",
            ("hostile-tensors", "hostile-architecture"),
            model_files.checkpoint,
            ("training.checkpoint:parse_json",),
            model_files.checkpoint_seeds,
            (model_files.mutate_checkpoint, model_files.mutate_checkpoint, described.mutate_header),
        ),
        Reader(
            "job",
            ".json",
            ("hostile-architecture",),
            model_files.job,
            ("cli.job_file:_begun",),
            model_files.job_seeds,
            (model_files.mutate_job,),
        ),
        Reader(
            "torch-zip",
            ".pt",
            ("hostile-pickle", "zip-bomb"),
            model_files.state_dict,
            ("formats.pytorch_file:unpickle",),
            model_files.torch_seeds,
            (archives.mutate_torch_zip, archives.mutate_torch_zip, archives.mutate_zip_directory),
        ),
        Reader(
            "torch-legacy",
            ".pt",
            ("hostile-pickle",),
            model_files.state_dict,
            ("formats.pytorch_legacy:as_storage",),
            model_files.legacy_seeds,
            (model_files.mutate_legacy, model_files.mutate_legacy, archives.mutate_pickle),
        ),
        Reader(
            "pickle",
            ".pkl",
            ("hostile-pickle",),
            model_files.pickle,
            ("formats.restricted_unpickler:_Machine",),
            model_files.pickle_seeds,
            (archives.mutate_pickle,),
        ),
        Reader(
            "onnx",
            ".onnx",
            ("onnx-corrupt", "onnx-unsupported", "onnx-external-data"),
            model_files.onnx,
            ("formats.onnx.reading:describe",),
            model_files.onnx_seeds,
            (onnx_files.mutate_message,),
        ),
        *(
            Reader(
                f"image-{form}",
                f".{form}",
                ("hostile-image",),
                data_files.image,
                ("data.folder:_check_declared",),
                functools.partial(data_files.image_seeds, form),
                mutations,
                allowed="nothing in the picture stands out",
            )
            for form, mutations in IMAGES.items()
        ),
    )
}


@functools.cache
def _seeds(name: str) -> list[bytes]:
    return READERS[name].make_seeds()


def watch(reader: Reader, passed: Callable[[], None]) -> Callable[[], None]:
    """Call `passed` whenever a landmark of the reader is reached; gives a function that ends this."""
    undo = []
    for landmark in reader.landmarks:
        module, _, name = landmark.partition(":")
        owner = importlib.import_module(f"cnn_from_scratch.{module}")
        original = getattr(owner, name)
        setattr(owner, name, _told(original, passed))
        undo.append((owner, name, original))

    def end() -> None:
        for owner, name, original in undo:
            setattr(owner, name, original)

    return end


def _told(function: Callable[..., Any], passed: Callable[[], None]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*arguments: Any, **options: Any) -> Any:
        passed()
        return function(*arguments, **options)

    return call
