"""Folders of images, a subfolder for each class."""

import sys
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from conductance.data import load_dataset, load_image_folder
from conductance.data.picture import read_picture
from conductance.errors import ConductanceError, DataError, InputError

RNG = np.random.default_rng(0)
MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "I;16")


def picture(mode="RGB", width=12, height=9):
    """A random image."""
    if mode == "I;16":
        return Image.fromarray(RNG.integers(0, 2**16, (height, width), dtype=np.uint16))
    colors = Image.fromarray(RNG.integers(0, 256, (height, width, 3), dtype=np.uint8))
    return colors.convert("L").convert(mode) if mode == "LA" else colors.convert(mode)


def fill(folder, classes=("cat", "dog"), count=5, mode="RGB"):
    for name in classes:
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            picture(mode).save(folder / name / f"{number}.png")
    return folder


# Layouts -----------------------------------------------------------------------------------------------------------


def test_a_folder_of_classes_holds_out_a_fifth_of_each(tmp_path):
    fill(tmp_path, ("cat", "dog", "emu"), 11)
    dataset = load_image_folder(tmp_path, 8)
    assert dataset.classes == ("cat", "dog", "emu")
    assert dataset.input_shape == (3, 8, 8)
    assert dataset.validation is None
    assert Counter(dataset.test.labels.tolist()) == {0: 2, 1: 2, 2: 2}
    assert Counter(dataset.train.labels.tolist()) == {0: 9, 1: 9, 2: 9}
    again = load_image_folder(tmp_path, 8)
    assert torch.equal(again.test.pixels, dataset.test.pixels)
    every = {tuple(read_picture(file, 8).flatten()) for file in tmp_path.rglob("*.png")}
    assert {tuple(image.flatten().tolist()) for part in (dataset.train, dataset.test) for image in part.pixels} == every


@pytest.mark.parametrize(("parts", "tested", "validated"), [
    (("train", "test"), "test", None),
    (("train", "val"), "val", None),
    (("train", "validation"), "validation", None),
    (("train", "test", "val"), "test", "val"),
])  # fmt: skip
def test_parts_are_read_as_they_are(parts, tested, validated, tmp_path):
    for count, part in enumerate(parts, start=1):
        fill(tmp_path / part, count=count)
    dataset = load_image_folder(tmp_path)
    counts = {part: 2 * count for count, part in enumerate(parts, start=1)}
    assert (len(dataset.train), len(dataset.test)) == (counts["train"], counts[tested])
    assert (len(dataset.validation) if dataset.validation else None) == (counts[validated] if validated else None)


def test_train_alone_is_split_and_a_class_may_be_called_train(tmp_path):
    fill(tmp_path / "parts" / "train")
    assert len(load_image_folder(tmp_path / "parts").test) == 2
    fill(tmp_path / "classes", ("car", "train"))
    assert load_image_folder(tmp_path / "classes").classes == ("car", "train")


def test_labels_are_those_of_the_training_images_and_a_part_may_lack_a_class(tmp_path):
    fill(tmp_path / "train", ("ant", "bee", "cat"))
    fill(tmp_path / "test", ("cat",), 2)
    assert load_image_folder(tmp_path).test.labels.tolist() == [2, 2]


def test_folders_in_a_class_belong_to_it_and_other_files_are_left_alone(tmp_path):
    fill(tmp_path)
    fill(tmp_path / "cat", ("more",))
    (tmp_path / "README.txt").write_text("hello")
    (tmp_path / "cat" / "notes.txt").write_text("hello")
    (tmp_path / "cat" / "._0.png").write_text("a Mac's")
    (tmp_path / ".cache").mkdir()
    dataset = load_image_folder(tmp_path)
    assert dataset.classes == ("cat", "dog")
    assert len(dataset.train) + len(dataset.test) == 15


# Pixels --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_every_kind_of_image_is_read(mode, tmp_path):
    suffix = {"CMYK": "tif", "YCbCr": "jpg", "HSV": "jpg"}.get(mode, "png")
    image = picture(mode, 16, 16)
    (image.convert("RGB") if mode == "HSV" else image).save(tmp_path / f"image.{suffix}")
    read = read_picture(tmp_path / f"image.{suffix}", 8)
    assert read.dtype == np.uint8
    assert read.shape == (1 if mode in ("1", "L", "LA", "I;16") else 3, 8, 8)
    assert read.std() > 5


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_pixels_of_an_image_of_the_right_size_are_its_own(mode, tmp_path):
    image = picture(mode, 8, 8)
    image.save(tmp_path / "image.png")
    assert np.array_equal(
        read_picture(tmp_path / "image.png", 8), np.asarray(image).reshape(8, 8, -1).transpose(2, 0, 1)
    )


def test_sixteen_bits_become_eight(tmp_path):
    values = RNG.integers(0, 2**16, (8, 8), dtype=np.uint16)
    Image.fromarray(values).save(tmp_path / "image.png")
    assert np.array_equal(read_picture(tmp_path / "image.png", 8)[0], values // 256)


def test_what_is_transparent_is_black(tmp_path):
    pixels = np.full((8, 8, 4), 200, np.uint8)
    pixels[:, :4, 3], pixels[:, 4:, 3] = 0, 255
    Image.fromarray(pixels).save(tmp_path / "image.png")
    read = read_picture(tmp_path / "image.png", 8)
    assert (read[..., :4] == 0).all()
    assert (read[..., 4:] == 200).all()


def test_a_palette_of_grays_is_gray(tmp_path):
    picture("L").convert("P").save(tmp_path / "image.png")
    assert read_picture(tmp_path / "image.png", 4).shape == (1, 4, 4)


def test_the_middle_square_is_what_is_seen(tmp_path):
    pixels = np.zeros((8, 24), np.uint8)
    pixels[:, 8:16] = 255
    Image.fromarray(pixels).save(tmp_path / "image.png")
    assert (read_picture(tmp_path / "image.png", 8) == 255).all()


def test_the_cameras_orientation_is_applied(tmp_path):
    image = picture("RGB", 8, 8)
    exif = Image.Exif()
    exif[0x0112] = 6  # the top of the scene is at the right
    image.save(tmp_path / "image.png", exif=exif)
    turned = np.rot90(np.asarray(image), -1).transpose(2, 0, 1)
    assert np.array_equal(read_picture(tmp_path / "image.png", 8), turned)


@given(width=st.integers(1, 40), height=st.integers(1, 40), size=st.integers(1, 20), mode=st.sampled_from(MODES[:6]))
def test_any_size_becomes_the_one_asked_for(width, height, size, mode, tmp_path_factory):
    file = tmp_path_factory.mktemp("image") / "image.png"
    picture(mode, width, height).save(file)
    assert read_picture(file, size).shape[1:] == (size, size)


def test_one_image_in_color_makes_all_three_channels(tmp_path):
    fill(tmp_path, mode="L")
    assert load_image_folder(tmp_path, 4).input_shape == (1, 4, 4)
    picture("RGB").save(tmp_path / "dog" / "9.png")
    dataset = load_image_folder(tmp_path, 4)
    assert dataset.input_shape == (3, 4, 4)
    gray = dataset.train.pixels[0]
    assert torch.equal(gray[0], gray[1])


# What does not serve -----------------------------------------------------------------------------------------------


def truncated(file):
    file.write_bytes(file.read_bytes()[:-60])


def emptied(file):
    file.write_bytes(b"")


def replaced_by_text(file):
    file.write_text("hello")


def a_link_to_nowhere(file):
    file.unlink()
    file.symlink_to("nowhere")


def floating_point(file):
    file.unlink()
    Image.fromarray(np.ones((4, 4), np.float32)).save(file.with_suffix(".tif"))


@pytest.mark.parametrize("mishap", [truncated, emptied, replaced_by_text, a_link_to_nowhere, floating_point])
def test_a_bad_file_is_named_in_one_line(mishap, tmp_path):
    fill(tmp_path)
    mishap(tmp_path / "dog" / "3.png")
    with pytest.raises(DataError, match=r"dog/3\.\w+ cannot be read as an image \(.+\); replace it") as raised:
        load_image_folder(tmp_path)
    assert str(raised.value).count("\n") == 0
    assert str(raised.value).startswith(str(tmp_path / "dog"))


def no_folder(folder):
    return folder / "absent"


def no_classes(folder):
    return folder


def one_class(folder):
    return fill(folder, ("cat",))


def an_empty_class(folder):
    (fill(folder) / "emu").mkdir()
    return folder


def an_unknown_class(folder):
    fill(folder / "test", ("cat", "emu"))
    fill(folder / "train")
    return folder


def an_empty_part(folder):
    (folder / "test").mkdir()
    fill(folder / "train")
    return folder


def too_few(folder):
    return fill(folder, count=4)


@pytest.mark.parametrize(("layout", "complaint"), [
    (no_folder, "absent is not a folder"),
    (no_classes, "holds no subfolders; it needs a subfolder of images for each class"),
    (one_class, "holds the one subfolder cat; .* at least two"),
    (an_empty_class, "emu holds no images"),
    (an_unknown_class, "test/emu: the training images have no class of this name"),
    (an_empty_part, "test holds no folder of a class"),
    (too_few, "no class has 5 images"),
])  # fmt: skip
def test_another_layout_is_answered_with_the_remedy(layout, complaint, tmp_path):
    with pytest.raises(DataError, match=complaint):
        load_image_folder(layout(tmp_path))


def test_it_is_a_data_set_by_name(tmp_path):
    fill(tmp_path)
    assert load_dataset("folder", tmp_path, image_size=6).input_shape == (3, 6, 6)
    with pytest.raises(InputError, match="data set 'folder' needs --data-dir DIR"):
        load_dataset("folder")
    with pytest.raises(InputError, match="image_size=0: must be at least 1"):
        load_dataset("folder", tmp_path, image_size=0)


def test_without_pillow_it_says_what_to_install(tmp_path, monkeypatch):
    fill(tmp_path)
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(ConductanceError, match=r"pillow is needed to read image files .*'conductance\[images\]'"):
        load_image_folder(tmp_path)
