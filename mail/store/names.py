"""Names of mailboxes: what is allowed, what INBOX means, and the patterns of LIST (RFC 3501 §5.1, §6.3.8)."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from base.failures import Failure

SEPARATOR = "/"
INBOX = "INBOX"
# Limit: octets of a name and levels of hierarchy; ours, below what file based peers (mbsync) can keep.
MAX_NAME = 512
MAX_LEVELS = 16
# Limit: wildcards in one LIST pattern, so that no pattern can be slow.
MAX_WILDCARDS = 16

# Made for every account, with their special use (RFC 6154 §2).
DEFAULTS = (
    (INBOX, ""),
    ("Sent", "Sent"),
    ("Drafts", "Drafts"),
    ("Trash", "Trash"),
    ("Junk", "Junk"),
    ("Archive", "Archive"),
)


def canonical(name: str) -> str:
    """The name under which a mailbox is kept: INBOX in any case is INBOX, also above others (RFC 3501 §5.1)."""
    head, separator, rest = name.partition(SEPARATOR)
    return INBOX + separator + rest if head.upper() == INBOX else name


def check_new(name: str) -> str:
    """The canonical name of a mailbox to be made. Raises Failure("invalid") when it cannot be a name."""
    name = canonical(unicodedata.normalize("NFC", name))
    levels = name.split(SEPARATOR)
    if not name or len(name.encode()) > MAX_NAME or len(levels) > MAX_LEVELS:
        raise Failure("invalid", "bad mailbox name")
    if any(not level or level in (".", "..") or level != level.strip() for level in levels):
        raise Failure("invalid", "bad mailbox name")
    if any(character in '*%"\\' or unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in name):
        raise Failure("invalid", "bad mailbox name")
    return name


def parents(name: str) -> list[str]:
    """`a/b/c` → `a`, `a/b`."""
    levels = name.split(SEPARATOR)
    return [SEPARATOR.join(levels[:count]) for count in range(1, len(levels))]


@dataclass(frozen=True, slots=True)
class Pattern:
    """A LIST pattern: `*` matches everything, `%` everything but the separator; INBOX in any case."""

    text: str

    @classmethod
    def of(cls, text: str) -> Pattern:
        """Raises Failure("invalid") when it is too long or has too many wildcards."""
        text = re.sub(r"[*%]*\*[*%]*", "*", re.sub("%+", "%", canonical(text)))
        if text.count("*") + text.count("%") > MAX_WILDCARDS or len(text) > MAX_NAME:
            raise Failure("invalid", "pattern is too long")
        return cls(text)

    def matches(self, name: str) -> bool:
        """Steps all positions of the pattern at once: time grows with the name, whatever the pattern."""
        active = self._skip({0})
        for character in name:
            following = set()
            for position in active:
                wanted = self.text[position : position + 1]
                if wanted == "*" or (wanted == "%" and character != SEPARATOR):
                    following.add(position)
                elif wanted == character:
                    following.add(position + 1)
            active = self._skip(following)
        return len(self.text) in active

    def _skip(self, positions: set[int]) -> set[int]:
        """A wildcard may match nothing."""
        for position in tuple(positions):
            while self.text[position : position + 1] in ("*", "%"):
                position += 1
                positions.add(position)
        return positions
