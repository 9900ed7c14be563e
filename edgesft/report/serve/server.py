"""A server of a folder's runs that answers this machine alone and reads nothing but what it lists."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from edgesft.errors import UnavailableError
from edgesft.report import formats
from edgesft.report.reading import DAMAGED
from edgesft.report.serve.folder import Folder

HERE = "127.0.0.1"

NAMES = (HERE, "localhost")
"""Host names under which a browser may ask: a page elsewhere that resolves its own name to this machine may not."""

BACK = '<p class="skip"><a href="/">All runs</a></p>'
"""What a page has besides where it is served."""

KEPT = 64
"""Pages that are kept for the next time."""


class Server(ThreadingHTTPServer):
    """Attributes: folder: what it shows."""

    daemon_threads = True
    # A second server on the port would take half of the questions.
    allow_reuse_address = False

    def __init__(self, folder: Folder, port: int) -> None:
        super().__init__((HERE, port), Handler)
        self.folder = folder
        # matplotlib draws one thing at a time.
        self.lock = threading.Lock()
        self._pages: dict[tuple[Any, ...], str] = {}

    @property
    def address(self) -> str:
        """Where it is, for a browser."""
        return f"http://{HERE}:{self.server_address[1]}/"

    def page(self, path: str, query: Mapping[str, list[str]]) -> str | None:
        """The page at a path, or None where there is none."""
        with self.lock:
            found, wrong = self.folder.documents()
            if path == "/":
                return self._index(found, wrong, query)
            if path.startswith("/run/"):
                return self._shown(found, [unquote(path.removeprefix("/run/"))])
            return self._compared(found, query.get("run", [])) if path == "/compare" else None

    def _index(self, found: Mapping[str, Any], wrong: list[str], query: Mapping[str, list[str]]) -> str:
        from edgesft.report.html import index

        given = {name: values[0] for name, values in query.items()}
        asked = index.Asked(
            sort=given.get("sort", "") if given.get("sort") in index.COLUMNS else index.NEWEST,
            down=given.get("down", "1") == "1",
            text=given.get("text", ""),
            verdict=given.get("verdict", "") if given.get("verdict") in index.VERDICTS else "",
        )
        rows, damaged = self.folder.rows(found)
        return index.index(rows, asked, str(self.folder.root), [*wrong, *damaged])

    def _shown(self, found: Mapping[str, Any], identities: list[str]) -> str | None:
        from edgesft.report.html import render

        if any(identity not in found for identity in identities):
            return None
        key = tuple((identity, self.folder.stamp(identity)) for identity in identities)
        if key not in self._pages:
            named = [(self.folder.name(identity), found[identity]) for identity in identities]
            page = render.render(named[0][1], named[0][0]) if len(named) == 1 else render.compared(named)
            if len(self._pages) >= KEPT:
                self._pages.pop(next(iter(self._pages)))
            self._pages[key] = page.replace("<header>", f"<header>{BACK}", 1)
        return self._pages[key]

    def _compared(self, found: Mapping[str, Any], identities: list[str]) -> str | None:
        from edgesft.report.html.index import choose

        names = list(dict.fromkeys(identities))
        if any(found.get(name, {}).get("schema") != formats.RUN for name in names):
            return None
        return self._shown(found, names) if len(names) > 1 else choose()


class Handler(BaseHTTPRequestHandler):
    """Answers a browser's questions: pages, and nothing that changes anything."""

    server: Server
    server_version = "edgesft"
    sys_version = ""
    timeout = 30

    def do_GET(self) -> None:
        """A page."""
        self._answer(body=True)

    def do_HEAD(self) -> None:
        """Its header."""
        self._answer(body=False)

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing: the terminal is the person's."""

    def _answer(self, *, body: bool) -> None:
        host = urlsplit(f"//{self.headers.get('Host', '')}").hostname
        if host not in NAMES:
            self.send_error(HTTPStatus.FORBIDDEN)
            return
        asked = urlsplit(self.path)
        try:
            text = self.server.page(asked.path, parse_qs(asked.query))
        except DAMAGED:
            # A file that says it is edgesft's and is not; the others are shown all the same.
            self.send_error(HTTPStatus.UNPROCESSABLE_ENTITY, "this document was not written by edgesft, or is damaged")
            return
        if text is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        content = text.encode("utf-8", "replace")
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("X-Frame-Options", "DENY")
        self.end_headers()
        if body:
            self.wfile.write(content)


def serve(folder: Path, port: int) -> Server:
    """A server that is ready to `serve_forever`; closing it is the caller's.

    Args:
        folder: Whose runs it shows.
        port: Where; 0 takes a free one.

    Raises:
        InputError: The folder is not there.
        UnavailableError: The extra is missing, or the port is taken.
    """
    formats.require()
    shown = Folder(folder)
    try:
        return Server(shown, port)
    except (OSError, OverflowError) as error:
        raise UnavailableError(f"port {port} cannot be served on: {error}", "--port 0 takes a free one") from error
