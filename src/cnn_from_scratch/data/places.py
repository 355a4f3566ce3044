"""Where the files of a data set lie, and under which names they are recognised."""

from __future__ import annotations

import os
from pathlib import Path

ENVIRONMENT = "CNN_DATA_DIR"


def data_root(data_dir: str | os.PathLike[str] | None = None) -> Path:
    """The folder that holds one folder for each data set: `data_dir`, or $CNN_DATA_DIR, or the user's cache folder.

    Examples
    --------
    >>> data_root("datasets").as_posix()
    'datasets'
    """
    chosen = data_dir or os.environ.get(ENVIRONMENT)
    if chosen:
        return Path(os.path.expanduser(chosen))  # Path's own would raise for ~ and an unknown name
    from platformdirs import user_cache_dir

    return Path(user_cache_dir("cnn-from-scratch", appauthor=False))


def find_file(root: Path, dataset: str, name: str) -> Path | None:
    """The file `name` in root/dataset or in root itself, with or without .gz; None where it is not.

    ``train-images-idx3-ubyte.gz`` is also found as ``train-images.idx3-ubyte``, the name some archives give it.
    """
    plain = name.removesuffix(".gz")
    dotted = plain.replace("-idx", ".idx")
    for folder in (root / dataset, root):
        for candidate in (name, plain, dotted, f"{dotted}.gz"):
            if os.path.isfile(folder / candidate):  # False, not an error, where one may not look
                return folder / candidate
    return None
