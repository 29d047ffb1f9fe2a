"""What a figure says, as text."""

from xml.etree import ElementTree


def words(svg: str) -> set[str]:
    """Every text in a page of SVG."""
    root = ElementTree.fromstring(svg)
    return {"".join(element.itertext()).strip() for element in root.iter("{http://www.w3.org/2000/svg}text")}
