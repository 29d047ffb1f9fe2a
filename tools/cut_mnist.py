"""Cut the first test images of MNIST for the live page: python tools/cut_mnist.py FOLDER_WITH_MNIST."""

import gzip
import sys
from pathlib import Path

from conductance.live.pictures import MOST, SHIPPED


def main(folder: str) -> None:
    for kind, dimensions in (("images-idx3", 3), ("labels-idx1", 1)):
        whole = gzip.decompress(next(Path(folder).rglob(f"t10k-{kind}-ubyte.gz")).read_bytes())
        head = 4 + 4 * dimensions
        size = len(whole[head:]) // int.from_bytes(whole[4:8], "big")
        cut = whole[:4] + MOST.to_bytes(4, "big") + whole[8 : head + MOST * size]
        (SHIPPED / f"t10k-first-{MOST}-{kind}-ubyte.gz").write_bytes(gzip.compress(cut, mtime=0))


if __name__ == "__main__":
    main(sys.argv[1])
