"""Odd captions: pieces of English, markup, numbers and scripts put together by a seed.

python -m tests.evaluate.coco.odd_captions 200000        compares ours with the original's tokens of so many
python -m tests.evaluate.coco.odd_captions --record      writes anew what the original makes of 400 of them
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path

from cityscribe.evaluate.coco.original import original_tokens
from cityscribe.evaluate.coco.tokens import caption_tokens

RECORDED = Path(__file__).parents[2] / "data" / "coco" / "tokens.json"

PIECES = [
    "the",
    "a",
    "car",
    "truck's",
    "isn't",
    "can't",
    "cannot",
    "gonna",
    "'tis",
    "'twas",
    "U.S.",
    "U.S.A.",
    "a.m.",
    "p.m.",
    "Co.",
    "Inc.",
    "Mr.",
    "Dr.",
    "St.",
    "No.",
    "5",
    "Jr.",
    "e.g.",
    "i.e.",
    "20-30km/h",
    "5'10\"",
    "&quot;",
    "&amp;",
    "&lt;",
    "&gt;",
    "&apos;",
    "&nbsp;",
    "&QUOT;",
    "&apos;s",
    "3.5",
    "1,000",
    "$5",
    "£5",
    "€3",
    "50%",
    "1/2",
    "½",
    "¼",
    "12:30",
    "2023-01-02",
    "555-1234",
    "(02)123",
    "http://a.bc/x",
    "www.x.org",
    "me@x.com",
    "x.com",
    "t-shirt",
    "well-known",
    "--",
    "—",
    "–",
    "…",
    "...",
    "-----",
    ".",
    ",",
    ";",
    ":",
    "!",
    "?",
    "?!",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    '"',
    "'",
    "``",
    "''",
    "“",
    "”",
    "‘",
    "’",
    "‛",
    "«",
    "»",
    "‹",
    "›",
    "#",
    "@",
    "#tag",
    "@me",
    "&",
    "*",
    "/",
    "\\",
    "~",
    "^",
    "_",
    "+",
    "=",
    "<",
    ">",
    "<b>",
    "</b>",
    "<br/>",
    ":)",
    ":-(",
    ";)",
    "(--)",
    "<3",
    "naïve",
    "café",
    "é",
    "ä",
    "ﬁ",
    "ß",
    "İ",
    "Σ",
    "ΟΔΟΣ",
    "Å",
    "東京",
    "日本",
    "١٢",
    "\xad",
    "\u200b",
    "\u200d",
    "\ufeff",
    "😀",
    "🚗",
    "A.",
    "B.",
    "I.",
    "A.B.",
    "Ph.D.",
    "O'Neil",
    "d'accord",
    "y'all",
    "ma'am",
    "rock'n'roll",
    "'90s",
    "90's",
    "'em",
    "n't",
    "'ve",
    "'LL",
    "AT&T",
    "R&D",
    "and/or",
    "km/h",
    "m/s",
    "-5",
    "+3",
    "1-2",
    "a-b-c",
    "A.I.",
    "etc.",
    "vs.",
    "approx.",
    "fig.",
    "3",
    "Sept.",
    "11",
    "ca.",
    "9",
    "Nos.",
    "p.",
    "art.",
    "4",
    "The",
    "He",
    "It",
    "is",
    "dept.",
    "lim",
    "co.",
    "corp.",
    "bldg.",
    "rd.",
    "ave.",
    "mph.",
    "¢",
    "₠",
    "¥",
    "§",
    "©",
    "®",
    "™",
    "°",
    "№",
    "²",
    "µ",
    "×",
    "¬",
    "¿",
]

SINGLE = [character for character in map(chr, range(0x20, 0x3000)) if character.isprintable()]


def odd_captions(count: int, seed: int) -> list[str]:
    """So many captions; equal seeds give equal ones."""
    draw = random.Random(seed)
    captions = []
    for _ in range(count):
        caption = ""
        for _ in range(draw.randint(1, 7)):
            piece = draw.choice(PIECES)
            if draw.random() < 0.15:
                piece = piece[: draw.randint(1, len(piece))]
            if draw.random() < 0.1:
                piece = piece.upper()
            if draw.random() < 0.15:
                piece += draw.choice(SINGLE)
            caption += piece + draw.choice((" ", " ", " ", "", ",", ".", "-", "'"))
        captions.append(caption)
    return captions


def originals(captions: list[str]) -> list[list[str]]:
    """What the original makes of each. A word stands between them: the last dot of a caption depends on the next."""
    return original_tokens([line for caption in captions for line in (caption, "x")])[::2]


def main() -> None:
    if sys.argv[1] == "--record":
        captions = odd_captions(400, seed=1)
        RECORDED.parent.mkdir(parents=True, exist_ok=True)
        rows = [json.dumps(pair) for pair in zip(captions, originals(captions), strict=True)]
        RECORDED.write_text("[\n" + ",\n".join(rows) + "\n]\n", encoding="ascii")
        return
    total = int(sys.argv[1])
    different = 0
    for start in range(0, total, 20_000):
        captions = odd_captions(min(20_000, total - start), seed=start + 2)
        for caption, expected in zip(captions, originals(captions), strict=True):
            if caption_tokens(caption) != expected:
                different += 1
                print(f"{caption!r}\n  original {expected}\n  ours     {caption_tokens(caption)}")
    every = [chr(code) for code in range(0x20, 0x110000) if chr(code).isprintable()]
    captions = [f"a {character} b{character}c 1{character}2 {character}D." for character in every]
    for caption, expected in zip(captions, originals(captions), strict=True):
        different += caption_tokens(caption) != expected
    print(f"{total} captions and {len(every)} characters: {different} differ")


if __name__ == "__main__":
    main()
