"""The text of an answer as its tokens come: which part of it is final, and where a stop text ends it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

UNFINISHED = "\ufffd"
"""What a tokenizer decodes bytes to that are not yet a whole character."""


class TextStream:
    """`decode` gives the text of tokens; `special` are the texts that it takes out of it once they are whole."""

    def __init__(self, decode: Callable[[Sequence[int]], str], special: Sequence[str], stop: Sequence[str]) -> None:
        self._decode, self._special, self._stop = decode, special, stop
        self._final = ""  # what can be told of the text
        self._told = 0  # characters of it that were

    def take(self, token_ids: Sequence[int]) -> bool:
        """Look at all tokens so far, none of which is an end token. True where a stop text ends the answer."""
        text, stopped = self.text(token_ids)
        if not stopped:
            text = text[: len(text) - self._held_back(text)]
        self._grow(text)
        return stopped

    def finish(self, token_ids: Sequence[int]) -> None:
        """Nothing comes any more: all of the text is final."""
        text, stopped = self.text(token_ids)
        self._grow(text if stopped else text.rstrip())

    def new(self) -> str:
        """What is final and was not told before."""
        text = self._final[self._told :]
        self._told = len(self._final)
        return text

    def text(self, token_ids: Sequence[int]) -> tuple[str, bool]:
        """The text of tokens, up to a stop text, and whether there is one."""
        text = self._decode(token_ids).lstrip()
        places = [place for stop in self._stop if (place := text.find(stop)) >= 0]
        return (text[: min(places)].rstrip(), True) if places else (text, False)

    def _grow(self, text: str) -> None:
        if len(text) > len(self._final) and text.startswith(self._final):
            self._final = text

    def _held_back(self, text: str) -> int:
        """How many characters at the end may still change: white space, half a character, half a stop text."""
        final = len(text.rstrip().rstrip(UNFINISHED).rstrip())
        for stop in (*self._stop, *self._special):
            for length in range(min(len(stop) - 1, len(text)), 0, -1):
                if text.endswith(stop[:length]):
                    final = min(final, len(text[:-length].rstrip()))
                    break
        return len(text) - final
