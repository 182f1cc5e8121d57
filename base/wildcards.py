"""Pictures of texts with `*` for any text: `+49*`, `*@partner.example`. Pure; no regular expressions.

One pass whatever the picture: with `.*` for each `*` a picture of its owner's, or a text of a caller's, could keep the
server busy for minutes.
"""

from __future__ import annotations


def fits(text: str, picture: str) -> bool:
    """Whether `picture` describes all of `text`. Case counts."""
    first, *between = picture.split("*")
    if not between:
        return text == first
    last = between.pop()
    end = len(text) - len(last)
    at = len(first)
    if end < at or not text.startswith(first) or not text.endswith(last):
        return False
    for piece in between:
        found = text.find(piece, at, end)
        if found < 0:
            return False
        at = found + len(piece)
    return True
