"""Which text guides which image of a conversation, and where the tokens that read it stand.

LLaMA-VID's own programs disagree about the text: its training, its command line, its web demo and its mode for films
each have a rule. They are the same for one question in one line about images that stand in front of it. A model has one
rule, for training and for asking, which its processor keeps.

In the order `interleaved`, the published one, each image is its context token and its content tokens behind that. With
`content-first` all content tokens of a message come first and its context tokens behind its last image: what the images
become up to there does not depend on the question, so that questions about the same images share it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from cityscribe.files import InputError

Order = Literal["interleaved", "content-first"]
ORDERS: tuple[Order, ...] = ("interleaved", "content-first")

WHOLE, CONTENT, CONTEXT = 0, 1, 2
"""What a place in a conversation shows of an image: context and content tokens, or one of them."""

TemplateMessage = Mapping[str, Any]
"""A message as chat templates take it: its `role` and its `content`, a text or a list of blocks."""


@dataclass(frozen=True, slots=True)
class Arranged:
    """A conversation as it is shown, and of each image block in it the text that guides it and what it shows."""

    messages: list[TemplateMessage]
    texts: list[str]
    parts: list[int]


@dataclass(slots=True)
class ArrangedTurn:
    """A message on its way to be arranged."""

    message: TemplateMessage
    again: list[Any]  # image blocks of earlier messages that stand before its own content once more
    text: str = ""  # that guides its images

    @property
    def blocks(self) -> list[Any]:
        content = self.message["content"]
        return [{"type": "text", "text": content}] if isinstance(content, str) else list(content)

    @property
    def images(self) -> list[Any]:
        return [block for block in self.blocks if block["type"] == "image"]

    def said(self) -> str:
        return " ".join(block["text"] for block in self.blocks if block["type"] == "text")

    def question(self) -> str:
        """What stands behind its last image; all of its text where nothing does."""
        blocks = self.blocks
        last = max((n for n, block in enumerate(blocks) if block["type"] == "image"), default=-1)
        behind = " ".join(block["text"] for block in blocks[last + 1 :] if block["type"] == "text").strip()
        return behind or self.said()


def each_turn(turns: Sequence[ArrangedTurn]) -> None:
    """Each question shows the images again and guides them itself; line breaks in it are taken out (training)."""
    shown: list[Any] = []
    for turn in turns:
        if turn.message["role"] != "user":
            continue
        turn.again = [] if turn.images else shown
        shown = turn.images or shown
        turn.text = turn.said().replace("\n", "")


def last_turn(turns: Sequence[ArrangedTurn]) -> None:
    """The last question guides the images, which stand in it alone (the command line)."""
    asked = [turn for turn in turns if turn.message["role"] == "user"]
    if not asked:
        return
    earlier = [block for turn in asked[:-1] for block in turn.images]
    for turn in asked[:-1]:
        turn.message = {**turn.message, "content": [block for block in turn.blocks if block["type"] != "image"]}
    asked[-1].again = earlier
    asked[-1].text = asked[-1].said()


def first_turn(turns: Sequence[ArrangedTurn]) -> None:
    """The first question guides the images of all messages (the web demo)."""
    asked = [turn for turn in turns if turn.message["role"] == "user"]
    for turn in turns:
        turn.text = asked[0].said() if asked else turn.said()


def bare_question(turns: Sequence[ArrangedTurn]) -> None:
    """What stands behind the last image of a message guides its images, without subtitles between them (films)."""
    for turn in turns:
        turn.text = turn.question()


GUIDES: dict[str, Callable[[Sequence[ArrangedTurn]], None]] = {
    "each-turn": each_turn,
    "last-turn": last_turn,
    "first-turn": first_turn,
    "bare-question": bare_question,
}
DEFAULT_GUIDE = "each-turn"


def check_arrangement(guide: str, order: str) -> None:
    """Raises InputError for a guide or an order that there is not."""
    if guide not in GUIDES:
        raise InputError(f"guide: {guide}; expected one of {', '.join(GUIDES)}")
    if order not in ORDERS:
        raise InputError(f"order: {order}; expected one of {', '.join(ORDERS)}")


def arrange(messages: Sequence[TemplateMessage], guide: str, order: str) -> Arranged:
    """A conversation by a guide and an order. Messages are not changed."""
    turns = [ArrangedTurn(dict(message), []) for message in messages]
    GUIDES[guide](turns)
    arranged = Arranged([], [], [])
    for turn in turns:
        content, parts = _placed(turn, order)
        if not parts:
            arranged.messages.append(turn.message)
            continue
        arranged.messages.append({**turn.message, "content": content})
        arranged.texts.extend("" if part == CONTENT else turn.text for part in parts)
        arranged.parts.extend(parts)
    return arranged


def _placed(turn: ArrangedTurn, order: str) -> tuple[list[Any], list[int]]:
    """The content of a message, and what each of its images shows."""
    blocks, own = turn.blocks, turn.images
    if order == "interleaved":
        return [*turn.again, *blocks], [WHOLE] * (len(turn.again) + len(own))
    if not own:  # content tokens of earlier messages are the same again, and not shown a second time
        return [*turn.again, *blocks], [CONTEXT] * len(turn.again)
    behind = 1 + max(n for n, block in enumerate(blocks) if block["type"] == "image")
    # A message has images of its own and earlier ones only where those were taken out of their messages.
    shown = [*turn.again, *own]
    content = [*turn.again, *blocks[:behind], *shown, *blocks[behind:]]
    return content, [CONTENT] * len(shown) + [CONTEXT] * len(shown)
