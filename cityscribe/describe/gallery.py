"""The table as a page: a card a span, with its picture; one file that needs no network and can be sent by mail.

It can be sorted and filtered (a script of its own, the only one that the page allows), looks right on a phone and in
the dark, and prints. All that it shows is untrusted text and is escaped.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from markupsafe import Markup

from cityscribe.describe.rows import Described, DescribedRow, found_word
from cityscribe.report.page import template_of
from cityscribe.traffic.scenario import ROLES

BY = {
    "annotation": "by the boxes of the data",
    "detector": "by the detector",
    "camera": "carries the camera",
    "model": "by asking the model",
}


@dataclass(frozen=True, slots=True)
class GalleryCard:
    """One row, as the page shows it."""

    row: DescribedRow
    place: int  # in the table
    picture: str  # a data URL, empty where there is none
    users: list[tuple[str, Described, str, str]]  # role, what is known, whether it is there, and how that is known
    least: float  # the least confidence of its descriptions; 2 where there is none
    present: str  # the roles that were found, separated by spaces


def to_html(rows: Sequence[DescribedRow], pictures: Path, title: str, model: str) -> str:
    """The page of the rows. Their pictures are read below the folder `pictures` and put into the page."""
    cards = [_card(row, place, pictures) for place, row in enumerate(rows)]
    package = resources.files("cityscribe.describe")
    script = (package / "gallery.js").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    spans = [row for row in rows if row.span is not None]
    template = template_of("cityscribe.describe", "gallery.html.jinja")
    return template.render(
        title=title,
        model=model,
        cards=cards,
        clips=len({row.clip for row in rows}),
        spans=len(spans),
        unread=len(rows) - len(spans),
        found={role: sum(role in card.present.split() for card in cards) for role in ROLES},
        roles=ROLES,
        style=Markup((package / "gallery.css").read_text("utf-8")),
        script=Markup(script),
        script_digest=digest,
        time=_time,
    )


def _card(row: DescribedRow, place: int, pictures: Path) -> GalleryCard:
    users = [
        (role, user, found_word(user), BY[user.by]) for role in ROLES if (user := row.road_users.get(role)) is not None
    ]
    confidences = [user.confidence for _, user, _, _ in users if user.confidence is not None]
    url = ""
    if row.picture:
        url = "data:image/jpeg;base64," + base64.b64encode((pictures / row.picture).read_bytes()).decode()
    present = " ".join(role for role, user, _, _ in users if user.found)
    return GalleryCard(row, place, url, users, min(confidences, default=2.0), present)


def _time(seconds: float | None) -> str:
    if seconds is None:
        return ""
    minutes, rest = divmod(seconds, 60)
    return f"{int(minutes)}:{rest:04.1f}"
