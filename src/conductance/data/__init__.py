"""Data: data sets found or downloaded and verified, augmentation, and batches of any data."""

from conductance.data.augment import Augmentation, shift_and_flip
from conductance.data.catalog import DATASETS, Specification
from conductance.data.datasets import load_dataset
from conductance.data.deform import deform
from conductance.data.folder import FOLDER, load_image_folder
from conductance.data.images import Dataset, Images, split_validation
from conductance.data.loader import DeviceLoader
from conductance.data.mix import Mixing, mix
from conductance.data.preprocess import PREPROCESSINGS, Preprocessing

__all__ = [
    "DATASETS",
    "FOLDER",
    "PREPROCESSINGS",
    "Augmentation",
    "Dataset",
    "DeviceLoader",
    "Images",
    "Mixing",
    "Preprocessing",
    "Specification",
    "deform",
    "load_dataset",
    "load_image_folder",
    "mix",
    "shift_and_flip",
    "split_validation",
]
