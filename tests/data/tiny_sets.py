"""Data sets of a few images in the true file formats."""

import gzip
import io
import struct
import tarfile
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np

from conductance.data import DATASETS

TRAIN_COUNT, TEST_COUNT = 5, 2
FILE_BASED = ("mnist", "fashion_mnist", "cifar10", "cifar100")


def contents_of(name: str) -> dict[str, bytes]:
    """The uncompressed contents of the files of a tiny data set, by their names."""
    rng = np.random.default_rng(FILE_BASED.index(name))
    if name == "cifar10":
        batches = {f"data_batch_{number}": cifar_batch(rng, 1) for number in range(1, TRAIN_COUNT + 1)}
        return {"batches.meta": b"names", **batches, "test_batch": cifar_batch(rng, TEST_COUNT)}
    if name == "cifar100":
        return {"meta": b"names", "train": cifar100_batch(rng, TRAIN_COUNT), "test": cifar100_batch(rng, TEST_COUNT)}
    files = {}
    for part, count in (("train", TRAIN_COUNT), ("t10k", TEST_COUNT)):
        files[f"{part}-images-idx3-ubyte"] = idx(rng.integers(0, 256, (count, 28, 28)))
        files[f"{part}-labels-idx1-ubyte"] = idx(rng.integers(0, 10, count))
    return files


def idx(values: np.ndarray) -> bytes:
    """An IDX file of unsigned bytes."""
    sizes = struct.pack(f">{values.ndim}I", *values.shape)
    return bytes([0, 0, 8, values.ndim]) + sizes + values.astype(np.uint8).tobytes()


def cifar_batch(rng: np.random.Generator, count: int) -> bytes:
    return python2_batch(rng.integers(0, 256, (count, 3072), dtype=np.uint8), rng.integers(0, 10, count).tolist())


def cifar100_batch(rng: np.random.Generator, count: int) -> bytes:
    coarse, fine = (rng.integers(0, classes, count).tolist() for classes in (20, 100))
    return python2_batch(
        rng.integers(0, 256, (count, 3072), dtype=np.uint8), {b"coarse_labels": coarse, b"fine_labels": fine}
    )


def python2_batch(data: np.ndarray, labels: list[int] | dict[bytes, list[int]], code: bytes = b"u1") -> bytes:
    """A batch as Python 2 and the numpy of its day pickled it, which those of today no longer do."""
    values = data.tobytes()
    lists = labels if isinstance(labels, dict) else {b"labels": labels}
    return b"".join(
        [
            b"\x80\x02}(",
            b"U\x04data",
            b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R",
            b"(K\x01J" + struct.pack("<i", data.shape[0]) + b"J" + struct.pack("<i", data.shape[1]) + b"\x86",
            b"cnumpy\ndtype\nU\x02" + code + b"K\x00K\x01\x87R",
            b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb",
            b"\x89T" + struct.pack("<i", len(values)) + values + b"tb",
            *(
                b"U" + bytes([len(name)]) + name + b"](" + b"".join(b"K" + bytes([one]) for one in values) + b"e"
                for name, values in lists.items()
            ),
            b"u.",
        ]
    )


def specification_of(name: str, contents: dict[str, bytes], addresses: tuple[str, ...] = ()):
    """The specification of the data set of this name, as though `contents` were the published files."""
    checksums = {file: sha256(content).hexdigest() for file, content in contents.items()}
    specification = DATASETS[name]
    return replace(specification, files=replace(specification.files, checksums=checksums, addresses=addresses))


def write(folder: Path, contents: dict[str, bytes], *, gzipped: bool = False) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        if gzipped:
            (folder / f"{name}.gz").write_bytes(gzip.compress(content))
        else:
            (folder / name).write_bytes(content)


def write_archive(path: Path, members: dict[str, bytes], links: dict[str, str] | None = None) -> None:
    """A .tar.gz of these members and symbolic links."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        for name, target in (links or {}).items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            archive.addfile(member)


def files_below(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
