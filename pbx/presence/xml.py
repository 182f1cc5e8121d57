"""XML of the event packages: written with ElementTree, read with expat under limits.

Bodies come from strangers: a DOCTYPE is refused (no entity multiplies, nothing is fetched), and depth, number of
elements and length are bounded. XML 1.0 §2.2 (characters), RFC 3023 (media types).
"""

from __future__ import annotations

from xml.etree.ElementTree import Element, SubElement, TreeBuilder, tostring
from xml.parsers import expat

LONGEST = 65_536
"""Limit: octets of a body that is read."""
DEEPEST = 32
"""Limit: nesting of a body that is read."""
MOST = 2_000
"""Limit: elements of a body that is read."""


class XmlRefused(ValueError):
    """A body that is not XML, or more of it than anybody needs."""


def child(parent: Element, tag: str, text: str | None = None, **attributes: str) -> Element:
    """Append an element; what XML cannot hold is left out of text and attributes."""
    made = SubElement(parent, tag, {name: clean(value) for name, value in attributes.items()})
    if text is not None:
        made.text = clean(text)
    return made


def write(root: Element) -> bytes:
    """The document with its declaration."""
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, encoding="unicode").encode()


def clean(text: str) -> str:
    """`text` without the characters that XML 1.0 §2.2 does not allow."""
    if text.isprintable():
        return text
    return "".join(letter for letter in text if letter in "\t\n\r" or _allowed(ord(letter)))


def _allowed(point: int) -> bool:
    return 0x20 <= point < 0xD800 or 0xE000 <= point < 0xFFFE or point >= 0x10000


def read(body: bytes) -> Element:
    """The root of a document; names are `{namespace}local`. Raises XmlRefused."""
    if len(body) > LONGEST:
        raise XmlRefused("too long")
    parser = expat.ParserCreate(namespace_separator="}")
    tree = _Tree()
    parser.StartElementHandler = tree.start
    parser.EndElementHandler = tree.end
    parser.CharacterDataHandler = tree.builder.data
    parser.StartDoctypeDeclHandler = tree.refuse_doctype
    try:
        parser.Parse(body, True)
    except (expat.ExpatError, ValueError, LookupError) as error:  # an unknown encoding is a LookupError
        raise XmlRefused(str(error)) from None
    return tree.builder.close()


class _Tree:
    """Builds the tree and counts."""

    def __init__(self) -> None:
        self.builder = TreeBuilder()
        self._depth = 0
        self._count = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        self._count += 1
        if self._depth > DEEPEST or self._count > MOST:
            raise XmlRefused("too many elements")
        self.builder.start(_name(name), {_name(key): value for key, value in attributes.items()})

    def end(self, name: str) -> None:
        self._depth -= 1
        self.builder.end(_name(name))

    def refuse_doctype(self, *_: object) -> None:
        raise XmlRefused("DOCTYPE")


def _name(name: str) -> str:
    return "{" + name if "}" in name else name
