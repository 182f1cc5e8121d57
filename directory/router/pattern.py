"""One side of a Router record with wildcards: `1*`, `+(10+d)`, `*.example.com`. Pure text.

    *         any text, also none
    (nd)      n digits
    (n+d)     n digits or more
    (n-md)    n to m digits

A wildcard on the left takes as much as it can. Which rest fits where is worked out once, from the right, as a set of
places (an integer with a bit for each): the work grows with the length of the text, not with the ways of cutting it,
since callers choose the text. Spec: cgp-server §3.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

MOST_WILDCARDS = 4  # Limit: wildcards in one pattern.
LONGEST = 1024
"""Limit: characters of a text; a longer one fits no pattern. No name, number or domain is as long."""
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

    def places(self, text: str, ends: int) -> int:
        """Where it may begin, when what follows it begins at one of `ends`."""
        digits = _places_of(text, "0123456789")
        found = ends if self.least == 0 else 0
        length = 0
        while ends and length != self.most:
            ends, length = digits & (ends >> 1), length + 1
            if length >= self.least:
                found |= ends
        return found

    def end(self, text: str, begin: int, ends: int) -> int:
        """Where it ends, as far to the right as it can."""
        last = begin
        while last < len(text) and text[last] in "0123456789" and last - begin != self.most:
            last += 1
        return (ends & ((2 << last) - 1)).bit_length() - 1

    def sample(self, digit: str) -> str:
        """The shortest text of that digit that fits."""
        return digit * (self.least or min(1, self.most or 1))


@dataclass(frozen=True, slots=True)
class Anything:
    """`*`."""

    def places(self, text: str, ends: int) -> int:
        """As for digits."""
        return (1 << ends.bit_length()) - 1

    def end(self, text: str, begin: int, ends: int) -> int:
        """As for digits."""
        return ends.bit_length() - 1


@dataclass(frozen=True, slots=True)
class Literal:
    """Text that stands for itself, in small letters."""

    text: str

    def places(self, text: str, ends: int) -> int:
        """As for digits."""
        found, at = 0, text.find(self.text)
        while at >= 0:
            found |= 1 << at
            at = text.find(self.text, at + 1)
        return found & (ends >> len(self.text))

    def end(self, text: str, begin: int, ends: int) -> int:
        """As for digits."""
        return begin + len(self.text)


Wildcard = Digits | Anything
Element = Literal | Wildcard


@dataclass(frozen=True, slots=True)
class Pattern:
    """A parsed pattern; compare texts with `match`. Case does not matter."""

    text: str
    elements: tuple[Element, ...]

    @classmethod
    def parse(cls, text: str) -> Pattern:
        """Raises PatternError."""
        found = cls(text, tuple(_elements(text)))
        if found.wildcards > MOST_WILDCARDS:
            raise PatternError(0, f"at most {MOST_WILDCARDS} wildcards, please")
        return found

    def match(self, text: str) -> tuple[str, ...] | None:
        """What each wildcard stands for, from the left; None when `text` does not fit as a whole."""
        small = _small(text)
        if len(text) > LONGEST or not self._may_fit(small):
            return None
        rests = [1 << len(text)]
        for element in reversed(self.elements):
            rests.append(element.places(small, rests[-1]))
        if not rests.pop() & 1:
            return None
        parts, at = [], 0
        for element in self.elements:
            begin, at = at, element.end(small, at, rests.pop())
            if not isinstance(element, Literal):
                parts.append(text[begin:at])
        return tuple(parts)

    def _may_fit(self, small: str) -> bool:
        """What most texts fail at, and is seen at once: the literal text at both ends."""
        if not self.elements:
            return not small
        first, last = self.elements[0], self.elements[-1]
        return (not isinstance(first, Literal) or small.startswith(first.text)) and (
            not isinstance(last, Literal) or small.endswith(last.text)
        )

    @property
    def wildcards(self) -> int:
        return sum(not isinstance(element, Literal) for element in self.elements)

    def sample(self, filler: str, digit: str) -> str:
        """A text that fits: `filler` for each `*`, and `digit` as often as it must be."""
        return "".join(
            element.text
            if isinstance(element, Literal)
            else filler
            if isinstance(element, Anything)
            else element.sample(digit)
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
            elements += [Literal(_small(literal)), wildcard] if literal else [wildcard]
            literal = ""
        at += length
    return [*elements, Literal(_small(literal))] if literal else elements


def _small(text: str) -> str:
    """ASCII letters only: others may change their length."""
    return text.lower() if text.isascii() else "".join(each.lower() if each.isascii() else each for each in text)


def _places_of(text: str, letters: str) -> int:
    return int("0" + "".join("1" if each in letters else "0" for each in reversed(text)), 2)


def _wildcard(text: str, at: int) -> tuple[Wildcard | None, int]:
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
