"""A real browser for the live page; without one, its tests are skipped and say why."""

from contextlib import ExitStack
from pathlib import Path

import pytest

from conductance.live import write_page
from conductance.share.source import Source
from tools.browser import NoBrowserError
from tools.browser import browser as browser_of_this_system

REST = """
async () => {
  while (page.waiting || page.busy) await new Promise(requestAnimationFrame);
}
"""  # until nothing is left to compute
DESKTOP, PHONE = {"width": 1280, "height": 720}, {"width": 390, "height": 844}


@pytest.fixture(scope="session")
def browser():
    with ExitStack() as stack:
        try:
            started = stack.enter_context(browser_of_this_system())
        except NoBrowserError as reason:
            pytest.skip(str(reason))
        yield started


@pytest.fixture
def opened(browser):
    """Open a page from a file; it may ask nobody for anything, and no script may fail."""
    contexts, requests, complaints = [], [], []

    def open_page(file, viewport=DESKTOP, reduced_motion="reduce", **options):
        context = browser.new_context(viewport=viewport, reduced_motion=reduced_motion, **options)
        contexts.append(context)
        shown = context.new_page()
        shown.on("request", lambda request: requests.append(request.url))
        shown.on("pageerror", lambda error: complaints.append(str(error)))
        shown.on("console", lambda message: complaints.append(message.text))
        shown.goto(file if "://" in str(file) else file.as_uri())
        shown.evaluate(REST)  # wait_for_function would need eval, which the page forbids
        return shown

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []
    assert len(requests) == len(contexts), f"more than the page itself was asked for: {requests}"


@pytest.fixture(scope="session")
def default_page(tmp_path_factory):
    """The page of the networks that come with the package."""
    sources = map(Source.of, (Path("mnist-small"), Path("mnist-small-batchnorm")))
    return write_page(tmp_path_factory.mktemp("default"), *sources)


@pytest.fixture
def page(opened, default_page):
    return opened(default_page)
