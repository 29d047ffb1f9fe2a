"""A page on which anyone can watch a trained network: draw a digit, and see conductances decide."""

from conductance.live.page import build_page, write_page
from conductance.live.server import serve

__all__ = ["build_page", "serve", "write_page"]
