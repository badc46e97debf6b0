"""Pages that hold other people's text: nothing of it may become markup."""

from __future__ import annotations

import atexit
import functools
import tempfile
from contextlib import ExitStack
from html.parser import HTMLParser
from pathlib import Path

from tests.serve.chromium import CHROMIUM, Page, browser

EVIL = "<script>alert(1)</script>\"><img src=x onerror=alert(2)> 'quoted' </style></svg>"


class _Elements(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def assert_inert(page: str, *, shown: int) -> None:
    """No script, no handler and no picture from elsewhere; and the text is there so many times at least, escaped."""
    parser = _Elements()
    parser.feed(page)
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert not [name for _, attributes in parser.found for name in attributes if name.startswith("on")]
    assert not [attributes for tag, attributes in parser.found if tag == "img" and attributes.get("src") == "x"]
    assert page.count("&lt;script&gt;alert(1)") >= shown
    assert_nothing_runs(page)


def assert_nothing_runs(page: str) -> None:
    """In a browser, with the mouse over each element, no script of the page calls `alert`."""
    if CHROMIUM is None:
        return
    opened = _opened()
    opened.show(page)
    opened.run("document.querySelectorAll('*').forEach(one => one.dispatchEvent(new MouseEvent('mouseover')))")
    assert opened.run("alerts") == []


@functools.cache
def _opened() -> Page:
    """A page of a browser that ends with the tests; what calls `alert` in it is noted in `alerts`."""
    stack = ExitStack()
    atexit.register(stack.close)
    page = stack.enter_context(browser(Path(stack.enter_context(tempfile.TemporaryDirectory()))))
    page.note_alerts()
    return page
