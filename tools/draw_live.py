"""Film the live page for the README: python tools/draw_live.py writes docs/live.webp."""

import io
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from PIL import Image

from conductance.live import write_page
from conductance.share.source import Source
from tools.browser import browser

PICTURE = Path(__file__).parents[1] / "docs" / "live.webp"
NETWORKS = (Path("mnist-small"), Path("mnist-small-batchnorm"))
VIEW = {"width": 1040, "height": 830}
WIDTH = 800  # of the picture
THREE = [(0.34, 0.27), (0.42, 0.2), (0.55, 0.18), (0.64, 0.25), (0.65, 0.36), (0.57, 0.45), (0.47, 0.48), (0.6, 0.51),
         (0.69, 0.6), (0.67, 0.73), (0.57, 0.81), (0.43, 0.81), (0.33, 0.73)]  # fmt: skip

Frame = tuple[bytes, int]
"""A picture, and for how many milliseconds it is shown."""


def film(page: Any) -> Iterator[Frame]:
    """A digit is drawn; then it fades; then inhibition is blocked."""
    page.click("#clear")
    page.locator("#layers").evaluate("() => page.choose({layer: page.layers[0], unit: 12, place: 60})")
    yield shot(page, 500)
    box = page.locator("#pad").bounding_box()
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in THREE]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=4)
        yield shot(page, 90)
    page.mouse.up()
    page.mouse.move(1, 1)
    yield shot(page, 1300)
    yield from slide(page, "contrast", 1, 0.01)
    yield from slide(page, "block", 0, 1)


def slide(page: Any, name: str, start: float, end: float, steps: int = 7) -> Iterator[Frame]:
    """Move a slider from its start, stay there, and go back."""
    for step in range(1, steps + 1):
        share = step / steps
        value = start * (end / start) ** share if start else share * end
        page.evaluate(
            "([name, value]) => { page.sliders.values[name] = value; page.sliders.inputs.forEach((set) => set()); "
            "page.sliders.changed(); }",
            [name, value],
        )
        yield shot(page, 130 if step < steps else 1900)
    page.click("#undo")
    yield shot(page, 500)


def shot(page: Any, milliseconds: int) -> Frame:
    """The page once everything is computed."""
    page.evaluate("async () => { do await new Promise(requestAnimationFrame); while (page.waiting || page.busy); }")
    sees, disturbs = (page.locator(each).bounding_box() for each in ("#see", "#disturb"))
    top, bottom = sees["y"] - 14, disturbs["y"] + disturbs["height"] + 14
    return page.screenshot(clip={"x": 0, "y": top, "width": VIEW["width"], "height": bottom - top}), milliseconds


def main() -> None:
    with TemporaryDirectory() as folder, browser() as chromium:
        file = write_page(folder, *map(Source.of, NETWORKS))
        page = chromium.new_page(viewport=VIEW, reduced_motion="reduce", color_scheme="dark", device_scale_factor=1)
        page.goto(file.as_uri())
        frames = list(film(page))
    pictures = [Image.open(io.BytesIO(frame)).convert("RGB") for frame, _ in frames]
    height = round(WIDTH * pictures[0].height / pictures[0].width)
    small = [picture.resize((WIDTH, height), Image.Resampling.LANCZOS) for picture in pictures]
    durations = [milliseconds for _, milliseconds in frames]
    small[0].save(
        PICTURE,
        save_all=True,
        append_images=small[1:],
        duration=durations,
        loop=0,
        quality=55,
        method=6,
        minimize_size=True,
    )
    print(f"{PICTURE}: {len(small)} frames, {PICTURE.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
