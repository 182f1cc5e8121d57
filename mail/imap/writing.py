"""How values look on the wire (RFC 3501 §4): strings, lists, ENVELOPE and BODYSTRUCTURE."""

from __future__ import annotations

import re
from collections.abc import Iterable

from mail.imap import utf7
from mail.mime.addresses import MailAddress, parse_addresses
from mail.mime.fields import Header, parametrised
from mail.mime.structure import Part

NIL = b"NIL"
_QUOTABLE = re.compile(rb"[\x20-\x7e]{0,1000}")
# A name may go out as an atom; the reserved word NIL may not.
_ATOM = re.compile(rb'(?!(?i:nil)$)[^(){ \x00-\x1f\x7f-\xff%*"\\\]]+')


def string(value: bytes) -> bytes:
    """Quoted when that can hold it, else a literal."""
    if _QUOTABLE.fullmatch(value):
        return b'"' + value.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
    return b"{%d}\r\n%b" % (len(value), value)


def nstring(value: bytes | None) -> bytes:
    return NIL if value is None else string(value)


def mailbox(name: str) -> bytes:
    """A mailbox name; quoted as soon as it is no plain word."""
    octets = utf7.encode(name)
    return octets if _ATOM.fullmatch(octets) else string(octets)


def listed(items: Iterable[str]) -> bytes:
    """`(a b c)` of words."""
    return ("(" + " ".join(items) + ")").encode()


# ---- ENVELOPE (RFC 3501 §7.4.2) -------------------------------------------------------------------------------------


def envelope(header: Header) -> bytes:
    """Sender and Reply-To are From when they are absent or empty."""
    author = _addresses(header.joined("from"))
    lists = [author]
    for name in ("sender", "reply-to"):
        mine = _addresses(header.joined(name))
        lists.append(author if mine == NIL else mine)
    lists += [_addresses(header.joined(name)) for name in ("to", "cc", "bcc")]
    return b"(%b %b %b %b %b)" % (
        nstring(header.get("date")),
        nstring(header.get("subject")),
        b" ".join(lists),
        nstring(header.get("in-reply-to")),
        nstring(header.get("message-id")),
    )


def _addresses(value: bytes | None) -> bytes:
    found = parse_addresses(value) if value else ()
    return b"(" + b"".join(map(_address, found)) + b")" if found else NIL


def _address(address: MailAddress) -> bytes:
    return b"(%b %b %b %b)" % (
        nstring(address.name),
        nstring(address.route),
        nstring(address.mailbox),
        nstring(address.host),
    )


# ---- BODY and BODYSTRUCTURE -----------------------------------------------------------------------------------------


def body_structure(part: Part, *, extended: bool) -> bytes:
    """RFC 3501 §7.4.2; `extended` for BODYSTRUCTURE, without for BODY."""
    if part.multipart:
        children = b"".join(body_structure(child, extended=extended) for child in part.children)
        text = b"%b %b" % (children, string(part.subtype))
        if extended:
            text += b" %b %b" % (_parameters(part.parameters), _place(part))
        return b"(" + text + b")"
    text = b" ".join(
        (
            string(part.kind),
            string(part.subtype),
            _parameters(part.parameters),
            nstring(part.header.get("content-id")),
            nstring(part.header.get("content-description")),
            string(_encoding(part)),
            b"%d" % part.size,
        )
    )
    if part.message is not None:
        inner = body_structure(part.message, extended=extended)
        text += b" %b %b %d" % (envelope(part.message.header), inner, part.lines)
    elif part.kind == b"text":
        text += b" %d" % part.lines
    if extended:
        text += b" %b %b" % (nstring(part.header.get("content-md5")), _place(part))
    return b"(" + text + b")"


def _place(part: Part) -> bytes:
    """Disposition, language and location."""
    disposition = NIL
    stated = part.header.get("content-disposition")
    if stated and (found := parametrised(stated)).value:
        disposition = b"(%b %b)" % (string(found.value), _parameters(found.parameters))
    languages = [word.strip() for word in (part.header.get("content-language") or b"").split(b",") if word.strip()]
    language = b"(" + b" ".join(map(string, languages)) + b")" if languages else NIL
    return b"%b %b %b" % (disposition, language, nstring(part.header.get("content-location")))


def _parameters(parameters: tuple[tuple[bytes, bytes], ...]) -> bytes:
    if not parameters:
        return NIL
    return b"(" + b" ".join(string(name) + b" " + string(value) for name, value in parameters) + b")"


def _encoding(part: Part) -> bytes:
    value = parametrised(part.header.get("content-transfer-encoding") or b"").value
    return value or b"7bit"
