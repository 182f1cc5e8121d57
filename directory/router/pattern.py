"""One side of a Router record with wildcards: `1*`, `+(10+d)`, `*.example.com`. Pure text.

    *         any text, also none
    (nd)      n digits
    (n+d)     n digits or more
    (n-md)    n to m digits

Spec: cgp-server §3.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

MOST_WILDCARDS = 4  # Limit: wildcards in one pattern; each one more multiplies the ways in which a text may fit.
MOST_DIGITS = 99
_LONGEST = (1024, 1024, 1024, 256, 64)
"""Limit: characters of a text that a pattern of so many wildcards may fit: what a caller dials must not keep the server
busy with all the ways in which it may be cut."""
_DIGITS = re.compile(r"\((\d{1,2})(?:(\+)|-(\d{1,2}))?d\)", re.IGNORECASE)


class PatternError(ValueError):
    """What is wrong, and at which octet of the pattern (from 0)."""

    def __init__(self, column: int, fault: str) -> None:
        super().__init__(fault)
        self.column = column
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Digits:
    """`least` to `most` decimal digits; `most` None is "or more"."""

    least: int
    most: int | None

    def regex(self) -> str:
        return f"([0-9]{{{self.least},{'' if self.most is None else self.most}}})"

    def sample(self, digit: str) -> str:
        """The shortest text of that digit that fits."""
        return digit * (self.least or min(1, self.most or 1))


@dataclass(frozen=True, slots=True)
class Anything:
    """`*`."""

    def regex(self) -> str:
        return "(.*)"


Element = str | Digits | Anything


@dataclass(frozen=True, slots=True)
class Pattern:
    """A parsed pattern; compare texts with `match`. Case does not matter."""

    text: str
    elements: tuple[Element, ...]
    _regex: re.Pattern[str] = field(repr=False, compare=False)

    @classmethod
    def parse(cls, text: str) -> Pattern:
        """Raises PatternError."""
        elements = tuple(_elements(text))
        if sum(not isinstance(element, str) for element in elements) > MOST_WILDCARDS:
            raise PatternError(0, f"at most {MOST_WILDCARDS} wildcards, please")
        source = "".join(re.escape(element) if isinstance(element, str) else element.regex() for element in elements)
        return cls(text, elements, re.compile(source, re.IGNORECASE | re.DOTALL | re.ASCII))

    def match(self, text: str) -> tuple[str, ...] | None:
        """What each wildcard stands for, from the left; None when `text` does not fit as a whole."""
        if len(text) > _LONGEST[self.wildcards]:
            return None
        found = self._regex.fullmatch(text)
        return None if found is None else found.groups()

    @property
    def wildcards(self) -> int:
        return sum(not isinstance(element, str) for element in self.elements)

    def sample(self, filler: str, digit: str) -> str:
        """A text that fits: `filler` for each `*`, and `digit` as often as it must be."""
        return "".join(
            element if isinstance(element, str) else filler if isinstance(element, Anything) else element.sample(digit)
            for element in self.elements
        )


def _elements(text: str) -> list[Element]:
    elements: list[Element] = []
    literal, at = "", 0
    while at < len(text):
        wildcard, length = _wildcard(text, at)
        if wildcard is None:
            literal += text[at]
        else:
            elements += [literal, wildcard] if literal else [wildcard]
            literal = ""
        at += length
    return [*elements, literal] if literal else elements


def _wildcard(text: str, at: int) -> tuple[Element | None, int]:
    """The wildcard that begins at `at`, and how long it is written."""
    if text[at] == "*":
        return Anything(), 1
    if text[at] != "(":
        return None, 1
    match = _DIGITS.match(text, at)
    if match is None:
        raise PatternError(at, "a parenthesis is a number of digits: (7d), (10+d) or (7-12d)")
    least = int(match[1])
    most = None if match[2] else int(match[3] or least)
    if most is not None and most < least:
        raise PatternError(at, f"{match[0]}: the second number is smaller than the first")
    if most == 0:
        raise PatternError(at, f"{match[0]} fits nothing")
    return Digits(least, most), len(match[0])


def fill(text: str, parts: Sequence[str]) -> str:
    """Put `parts` in the places of the `*` of a right side, in their order; the last serves all that follow."""
    pieces = text.split("*")
    out = pieces[0]
    for number, piece in enumerate(pieces[1:]):
        out += (parts[min(number, len(parts) - 1)] if parts else "") + piece
    return out
