"""What presets, runs and the folders of runs are called."""


def preset_name(dataset: str, architecture: str, family: str) -> str:
    """The name of a preset, of its runs, and of a cell of the paper's tables.

    >>> preset_name("fashion_mnist", "cnn", "cwa")
    'fashion-mnist-cnn-cwa'
    """
    return f"{dataset.replace('_', '-')}-{architecture}-{family}"


def run_folder_name(name: str, seed: int) -> str:
    """The default name of a run's folder.

    >>> run_folder_name("mnist-cnn-cwa", 0)
    'mnist-cnn-cwa-seed0'
    """
    return f"{name}-seed{seed}"
