"""Files are told by their bytes."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cityscribe.serve.media import from_data_url, kind_of
from cityscribe.serve.refusal import Refusal
from tests.serve.running import data_url, encoded, picture


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
def test_images_are_known_whatever_they_are_called(kind: str) -> None:
    content = encoded(picture(), kind)
    assert from_data_url(data_url(content, "text/html"), "image", "x") == content
    with pytest.raises(Refusal) as refused:
        from_data_url(data_url(content, "video/mp4"), "video", "x")
    assert refused.value.status == 415


@pytest.mark.parametrize(
    "head", [b"#EXTM3U\n", b"ffconcat version 1.0", b"<?xml ", b"%PDF-1.7", b"", b"BM", b"\x7fELF"]
)
def test_what_names_other_files_or_is_no_media_is_not_read(head: bytes) -> None:
    assert kind_of(head.ljust(16, b" ")) is None


@given(st.binary(max_size=40))
def test_any_bytes_are_answered(content: bytes) -> None:
    url = "data:x/y;base64," + base64.b64encode(content).decode()
    if kind_of(content[:16]) == "image":
        assert from_data_url(url, "image", "x") == content
        return
    with pytest.raises(Refusal) as refused:
        from_data_url(url, "image", "x")
    assert refused.value.status == 415


@given(st.text(max_size=60))
def test_any_text_is_a_data_url_or_refused(url: str) -> None:
    with pytest.raises(Refusal) as refused:
        from_data_url(url, "image", "x")
    assert refused.value.status in (415, 422)
