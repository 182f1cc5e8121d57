"""MIME structure against the standard library's parser, and against octets meant to hurt."""

from __future__ import annotations

import time
from email import message_from_bytes
from email.message import EmailMessage, Message

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mail.imap.writing import body_structure, envelope
from mail.mime.addresses import parse_addresses
from mail.mime.fields import parametrised, parse_header
from mail.mime.structure import MAX_DEPTH, Part, parse_message


def crlf(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode()


def ours(part: Part, octets: bytes) -> object:
    kind = f"{part.kind.decode()}/{part.subtype.decode()}"
    if part.multipart:
        return kind, [ours(child, octets) for child in part.children]
    if part.message is not None:
        return kind, [ours(part.message, octets)]
    return kind, octets[part.body : part.end]


def theirs(message: Message) -> object:
    if message.is_multipart():
        return message.get_content_type(), [theirs(part) for part in message.get_payload()]  # type: ignore[union-attr,arg-type]
    payload = message.get_payload()
    assert isinstance(payload, str)
    return message.get_content_type(), payload.encode("ascii", "surrogateescape")


def built() -> bytes:
    message = EmailMessage()
    message["Subject"] = "all kinds"
    message.set_content("plain")
    message.add_alternative("<p>rich</p>", subtype="html")
    message.add_attachment(b"\x00\x01", maintype="audio", subtype="wav", filename="x.wav")
    inner = EmailMessage()
    inner["Subject"] = "inner"
    inner.set_content("inner text")
    inner.add_attachment("more", filename="notes.txt")
    message.add_attachment(inner)
    return message.as_bytes().replace(b"\n", b"\r\n")


NESTED = crlf("""Subject: nested
Content-Type: multipart/mixed; boundary="outer"

preamble
--outer
Content-Type: multipart/alternative; boundary=outer-inner

--outer-inner

one
--outer-inner
Content-Type: text/html

<p>two
--outer-inner--
epilogue
--outer
Content-Type: message/rfc822

From: x@y
Subject: deep

body
--outer--
""")
DIGEST = crlf("""Content-Type: multipart/digest; boundary=d

--d

Subject: first

one
--d

Subject: second

two
--d--
""")
UNCLOSED = crlf("""Content-Type: multipart/mixed; boundary="b"

--b
Content-Type: text/plain

never closed""")
SIMPLE = crlf("Subject: s\n\nbody\n")


@pytest.mark.parametrize(
    "octets", [built(), NESTED, DIGEST, UNCLOSED, SIMPLE], ids=["built", "nested", "digest", "unclosed", "simple"]
)
def test_the_same_tree_as_the_standard_library(octets: bytes) -> None:
    assert ours(parse_message(octets), octets) == theirs(message_from_bytes(octets))


def test_parts_by_number() -> None:
    root = parse_message(NESTED)

    def text(*path: int) -> bytes | None:
        part = root.at(path)
        return None if part is None else NESTED[part.body : part.end]

    assert text(1, 1) == b"one"
    assert text(1, 2) == b"<p>two"
    assert text(2, 1) == b"body", "inside a message the parts are counted anew"
    assert text(2) == b"From: x@y\r\nSubject: deep\r\n\r\nbody"
    for nowhere in ((3,), (1, 3), (1, 1, 1), (2, 2), (2, 1, 1)):
        assert text(*nowhere) is None
    simple = parse_message(SIMPLE)
    assert simple.at((1,)) is simple
    assert simple.at((1, 1)) is None


def test_body_structure_by_the_book() -> None:
    assert body_structure(parse_message(NESTED), extended=False) == (
        b'(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 3 0)'
        b'("text" "html" NIL NIL NIL "7bit" 6 0) "alternative")'
        b'("message" "rfc822" NIL NIL NIL "7bit" 32'
        b' (NIL "deep" ((NIL NIL "x" "y")) ((NIL NIL "x" "y")) ((NIL NIL "x" "y")) NIL NIL NIL NIL NIL)'
        b' ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 4 0) 3)'
    ).join((b"(", b' "mixed")'))
    octets = crlf(
        'Content-Type: text/plain; charset="utf-8"; format=flowed\n'
        'Content-Disposition: attachment; filename="a b.txt"\n'
        "Content-ID: <1@x>\nContent-Language: en, de\nContent-Transfer-Encoding: BASE64\n\nQUJD\n"
    )
    assert body_structure(parse_message(octets), extended=True) == (
        b'("text" "plain" ("charset" "utf-8" "format" "flowed") "<1@x>" NIL "BASE64" 6 1 NIL'
        b' ("attachment" ("filename" "a b.txt")) ("en" "de") NIL)'
    )


def test_hostile_shapes_are_bounded() -> None:
    deep = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(500))
    root = parse_message(deep)
    depth = 0
    while root.multipart:
        root = root.children[0]
        depth += 1
    assert depth <= MAX_DEPTH + 1
    wide = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * 50_000
    assert len(parse_message(wide).children) <= 1000
    for octets in (
        b"Content-Type: multipart/mixed; boundary=" + b"x" * 100_000,
        b"Content-Type: " + b"(" * 100_000,
        b"A: " + b"b" * 1_000_000,
        b":" * 200_000,
        b"\r\n \r\n " * 50_000,
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b " * 200_000,
        b"Content-Type: text/plain" + b"; a=b" * 50_000 + b"\r\n\r\n",
        b"From: " + b"<@," * 100_000 + b"\r\n\r\n",
        b'From: "' + b"\\" * 100_000 + b"\r\n\r\n",
    ):
        start = time.perf_counter()
        part = parse_message(octets)
        body_structure(part, extended=True)
        envelope(part.header)
        assert time.perf_counter() - start < 2


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"a@b", [(None, None, b"a", b"b")]),
        (b"Ann <ann@x>", [(b"Ann", None, b"ann", b"x")]),
        (b'"Last, First" <a@b>, c@d', [(b"Last, First", None, b"a", b"b"), (None, None, b"c", b"d")]),
        (b"a@b (Fred Foo)", [(b"Fred Foo", None, b"a", b"b")]),
        (b"<@r1,@r2:a@b>", [(None, b"@r1,@r2", b"a", b"b")]),
        (
            b"team: a@b, c@d;, e@f",
            [
                (None, None, b"team", None),
                (None, None, b"a", b"b"),
                (None, None, b"c", b"d"),
                (None, None, None, None),
                (None, None, b"e", b"f"),
            ],
        ),
        (b"undisclosed-recipients:;", [(None, None, b"undisclosed-recipients", None), (None, None, None, None)]),
        (b'"odd local"@x', [(None, None, b"odd local", b"x")]),
        (b"just words", [(None, None, b"justwords", b"")]),
        (b"=?utf-8?q?=C3=A9?= <e@x>", [(b"=?utf-8?q?=C3=A9?=", None, b"e", b"x")]),
        (b"", []),
        (b",,;;>><<", []),
    ],
)
def test_addresses(value: bytes, expected: list[tuple[bytes | None, ...]]) -> None:
    assert [(a.name, a.route, a.mailbox, a.host) for a in parse_addresses(value)] == expected


def test_parameters() -> None:
    found = parametrised(b' Text/Plain (comment) ; Charset="a\\"b" ;name*=utf-8\'\'x ; odd ; z = 1')
    assert found.value == b"Text/Plain"
    assert found.parameters == ((b"charset", b'a"b'), (b"name*", b"utf-8''x"), (b"z", b"1"))


PIECES = st.sampled_from(
    [
        b"Content-Type: ",
        b"multipart/mixed",
        b"; boundary=b",
        b"\r\n",
        b"\n",
        b"--b",
        b"--",
        b"message/rfc822",
        b"\r\n\r\n",
        b'"',
        b"(",
        b")",
        b";",
        b"=",
        b" ",
        b"From: ",
        b"<a@b>",
        b",",
        b":",
        b"\\",
        b"\x00",
        b"\xff",
        b"text/plain",
    ]
)


@given(st.lists(st.one_of(PIECES, st.binary(max_size=6)), max_size=60))
def test_any_octets_have_a_structure(pieces: list[bytes]) -> None:
    octets = b"".join(pieces)
    root = parse_message(octets)
    body_structure(root, extended=True)
    envelope(root.header)
    todo = [root]
    while todo:
        part = todo.pop()
        assert 0 <= part.start <= part.body <= part.end <= len(octets)
        assert all(part.body <= child.start and child.end <= part.end for child in part.children)
        todo += part.children
        todo += [part.message] if part.message else []
    header = parse_header(octets)
    assert all(octets[f.start : f.end].lower().startswith(f.name.encode()) for f in header.fields)
