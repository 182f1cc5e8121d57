"""XML elements to text and back: elements, attributes, text, CDATA, the five named entities (XML 1.0 §2-4).

Not a validating parser: a DOCTYPE is refused, so that nothing is fetched and no entity multiplies. Comments and
processing instructions are dropped. Nesting is bounded, and no input makes it recurse.
"""

from __future__ import annotations

import re

from base.values.kinds import XmlElement

DEPTH_LIMIT = 100  # Limit: nested elements.

_NAME = r"[A-Za-z_\x80-\U0010ffff][-A-Za-z0-9_.\x80-\U0010ffff]*"
_OPEN = re.compile(rf"<(?:({_NAME}):)?({_NAME})")
_CLOSE = re.compile(rf"</(?:({_NAME}):)?({_NAME})\s*>")
_ATTRIBUTE = re.compile(rf"""\s+(?:({_NAME}):)?({_NAME})\s*=\s*(?:"([^"<]*)"|'([^'<]*)')""")
_OPENED = re.compile(r"\s*(/?)>")
_TEXT = re.compile(r"[^<]+")
_CDATA = re.compile(r"<!\[CDATA\[(.*?)\]\]>", re.DOTALL)
_SKIPPED = re.compile(r"<!--.*?-->|<\?.*?\?>", re.DOTALL)
_ENTITY = re.compile(r"&(?:#x([0-9A-Fa-f]{1,6})|#([0-9]{1,7})|([A-Za-z]+));")
_NAMED = {"lt": "<", "gt": ">", "amp": "&", "quot": '"', "apos": "'"}


class XmlError(ValueError):
    """Text that is not an element; `position` is the offset."""

    def __init__(self, message: str, position: int) -> None:
        super().__init__(f"{message} (offset {position})")
        self.message = message
        self.position = position


def format_xml(element: XmlElement) -> str:
    """The element as text. Raises ValueError when it nests too deeply (or holds itself)."""
    parts: list[str] = []
    _write(element, parts, 0)
    return "".join(parts)


def _write(element: XmlElement, parts: list[str], depth: int) -> None:
    if depth > DEPTH_LIMIT or len(parts) > 1_000_000:
        raise ValueError("the XML element is nested too deeply, or too large, to be written")
    name = _joined(element.prefix, element.type)
    parts.append("<" + name)
    for prefix, uri in element.namespaces.items():
        parts.append(f' {"xmlns:" + prefix if prefix else "xmlns"}="{_attribute_text(uri)}"')
    for (prefix, attribute), text in element.attributes.items():
        parts.append(f' {_joined(prefix, attribute)}="{_attribute_text(text)}"')
    if not element.children:
        parts.append("/>")
        return
    parts.append(">")
    for child in element.children:
        if isinstance(child, str):
            parts.append(_body_text(child))
        else:
            _write(child, parts, depth + 1)
    parts.append(f"</{name}>")


def _joined(prefix: str, name: str) -> str:
    return f"{prefix}:{name}" if prefix else name


def _body_text(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _attribute_text(text: str) -> str:
    return _body_text(text).replace('"', "&quot;").replace("\n", "&#10;").replace("\r", "&#13;").replace("\t", "&#9;")


def parse_xml(text: str) -> XmlElement:
    """The one element of a document. Raises XmlError."""
    at = _skip(text, 0)
    element, at = read_element(text, at)
    if (at := _skip(text, at)) < len(text):
        raise XmlError("text after the root element", at)
    return element


def _skip(text: str, at: int) -> int:
    while at < len(text):
        if text[at].isspace():
            at += 1
        elif match := _SKIPPED.match(text, at):
            at = match.end()
        else:
            break
    return at


def read_element(text: str, at: int) -> tuple[XmlElement, int]:
    """The element that starts at `at`, and the offset after it. Raises XmlError."""
    root, at, empty = _open_tag(text, at)
    stack = [] if empty else [root]
    while stack:
        here = stack[-1]
        if match := _TEXT.match(text, at):
            _add_text(here, _plain(match.group(), at))
        elif match := _CDATA.match(text, at):
            _add_text(here, match.group(1))
        elif match := _CLOSE.match(text, at):
            if (match.group(1) or "", match.group(2)) != (here.prefix, here.type):
                raise XmlError(f"</{_joined(here.prefix, here.type)}> is expected", at)
            stack.pop()
        elif not (match := _SKIPPED.match(text, at)):
            child, at, empty = _open_tag(text, at)
            here.children.append(child)
            if not empty:
                stack.append(child)
            if len(stack) > DEPTH_LIMIT:
                raise XmlError("elements are nested too deeply", at)
            continue
        at = match.end()
    return root, at


def _add_text(element: XmlElement, text: str) -> None:
    if element.children and isinstance(last := element.children[-1], str):
        element.children[-1] = last + text
    elif text:
        element.children.append(text)


def _open_tag(text: str, at: int) -> tuple[XmlElement, int, bool]:
    match = _OPEN.match(text, at)
    if match is None:
        raise XmlError("an element is not closed" if at >= len(text) else "an XML tag is expected", at)
    element = XmlElement(match.group(2), match.group(1) or "")
    at = match.end()
    while (match := _ATTRIBUTE.match(text, at)) is not None:
        prefix, name = match.group(1) or "", match.group(2)
        value = _plain(match.group(3) if match.group(3) is not None else match.group(4), at)
        if prefix == "xmlns":
            element.namespaces[name] = value
        elif not prefix and name == "xmlns":
            element.namespaces[""] = value
        elif (prefix, name) in element.attributes:
            raise XmlError(f"attribute {name} stands twice", at)
        else:
            element.attributes[prefix, name] = value
        at = match.end()
    match = _OPENED.match(text, at)
    if match is None:
        raise XmlError("'>' is expected", at)
    return element, match.end(), bool(match.group(1))


def _plain(text: str, at: int) -> str:
    if "&" not in text:
        return text
    if len(_ENTITY.findall(text)) != text.count("&"):
        raise XmlError("'&' does not begin an entity", at)

    def resolve(match: re.Match[str]) -> str:
        hexadecimal, decimal, name = match.groups()
        if name:
            if name not in _NAMED:
                raise XmlError(f"unknown entity &{name};", at)
            return _NAMED[name]
        point = int(hexadecimal, 16) if hexadecimal else int(decimal)
        if not (point < 0xD800 or 0xDFFF < point < 0x110000):
            raise XmlError("a character reference names no character", at)
        return chr(point)

    return _ENTITY.sub(resolve, text)
