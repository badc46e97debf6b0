"""Pages that hold other people's text: nothing of it may become markup."""

from __future__ import annotations

from html.parser import HTMLParser

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
