"""Write the trained networks that come with the package, of the folders of their runs, each tested as it is stored.

python tools/ship_networks.py mnist-cnn=RUN digits-cnn=RUN ...
"""

import sys
from pathlib import Path

from conductance.share.places import HERE
from conductance.share.run import save_run


def main(words: list[str]) -> None:
    for word in words:
        name, _, run = word.partition("=")
        measured = save_run(Path(run), HERE / name, dtype="float16", overwrite=True)
        print(f"{name}: test accuracy {measured['test_accuracy']:.2f} % on {measured['images']} images")


if __name__ == "__main__":
    main(sys.argv[1:])
