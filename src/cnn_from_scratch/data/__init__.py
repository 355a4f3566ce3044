"""Data sets, batches and augmentation: everything between a file and the first layer."""

from .affine import RandomAffine, warp_affine
from .augment import Compose, Cutout, RandomCrop, RandomFlip, RandomShift
from .batches import ArrayData, Augment, Batch, BatchSource, Data, as_source, batch_count, iterate_batches
from .cifar import load_cifar10
from .dataset import Dataset, Examples, Normalization, check_finite, scale
from .digit_image import prepare_digit
from .digits import digits_folds, load_digits
from .download import DownloadError
from .folder import load_image_folder
from .garment_image import prepare_garment
from .idx import read_idx
from .imagenet_image import IMAGENET_NORMALIZATION, prepare_imagenet
from .ink import find_ink
from .mnist import load_fashion_mnist, load_mnist
from .npz import read_npz
from .picture import Picture, as_pixels, fit_picture
from .small_digit_image import prepare_small_digit
from .splits import stratified_folds, stratified_split

__all__ = [
    "IMAGENET_NORMALIZATION",
    "ArrayData",
    "Augment",
    "Batch",
    "BatchSource",
    "Compose",
    "Cutout",
    "Data",
    "Dataset",
    "DownloadError",
    "Examples",
    "Normalization",
    "Picture",
    "RandomAffine",
    "RandomCrop",
    "RandomFlip",
    "RandomShift",
    "as_pixels",
    "as_source",
    "batch_count",
    "check_finite",
    "digits_folds",
    "find_ink",
    "fit_picture",
    "iterate_batches",
    "load_cifar10",
    "load_digits",
    "load_fashion_mnist",
    "load_image_folder",
    "load_mnist",
    "prepare_digit",
    "prepare_garment",
    "prepare_imagenet",
    "prepare_small_digit",
    "read_idx",
    "read_npz",
    "scale",
    "stratified_folds",
    "stratified_split",
    "warp_affine",
]
