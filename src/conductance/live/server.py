"""A page on this machine alone, until Ctrl-C."""

import webbrowser
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from conductance.errors import ConductanceError

HOST = "127.0.0.1"
"""Loopback: no other machine can reach it."""


def page_server(page: str, port: int = 0) -> ThreadingHTTPServer:
    """A server of one page on loopback; ``server_address`` has its port.

    Args:
        page: the whole page.
        port: 0 for any that is free.

    Raises:
        ConductanceError: the port is taken, or none at all.
    """
    body = page.encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.partition("?")[0] not in ("/", "/index.html"):
                self.send_error(HTTPStatus.NOT_FOUND)
                return
            self._answer(body)

        def do_HEAD(self) -> None:
            self._answer(b"")

        def _answer(self, content: bytes) -> None:
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")  # the next network may have the same address
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing of each request."""

    try:
        return ThreadingHTTPServer((HOST, port), Handler)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConductanceError(f"port {port} cannot be used ({reason}); choose another, or 0 for any") from None


def serve(page: str, port: int = 0, *, announce: Callable[[str], None], open_browser: bool = False) -> None:
    """Serve a page on loopback until Ctrl-C (`KeyboardInterrupt`), which ends it without a trace.

    Args:
        page: the whole page.
        port: 0 for any that is free.
        announce: told the address once the page is served.
        open_browser: open it there too.

    Raises:
        ConductanceError: the port cannot be used.
    """
    with page_server(page, port) as serving:
        address = f"http://{HOST}:{serving.server_address[1]}/"
        announce(address)
        if open_browser:
            webbrowser.open(address)
        serving.serve_forever()
