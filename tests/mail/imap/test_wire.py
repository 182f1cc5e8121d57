"""The reader of commands, fed by hand; any octets in any pieces end in a documented event."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mail.imap import commands as c
from mail.imap.sets import SequenceSet, written
from mail.imap.utf7 import decode, encode
from mail.imap.wire import (
    MAX_COMMAND,
    Arrived,
    Broken,
    Continue,
    Event,
    Line,
    MessageData,
    MessageEnd,
    MessageStart,
    Reader,
)
from mail.store.model import FlagAction


def events(*pieces: bytes) -> list[Event]:
    reader = Reader()
    found: list[Event] = []
    for piece in pieces:
        reader.feed(piece)
        while (event := reader.next()) is not None:
            if isinstance(event, MessageStart):
                reader.accept()
            found.append(event)
    return found


def command(text: bytes) -> c.Command:
    (event,) = events(text + b"\r\n")
    assert isinstance(event, Arrived), event
    return event.command


ONE = SequenceSet(((1, 1),))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"a noop", c.Plain.NOOP),
        (b"a Login alice wonder", c.Login("alice", "wonder")),
        (b'a LOGIN "al\\"ice" ""', c.Login('al"ice', "")),
        (b"a SELECT inbox", c.Select("inbox", False)),
        (b"a EXAMINE {3+}\r\na b (CONDSTORE)", c.Select("a b", True, True)),
        (b'a SELECT "Entw&APw-rfe"', c.Select("Entwürfe", False)),
        (b'a LIST "" *', c.List("", ("*",))),
        (
            b'a LIST (SUBSCRIBED) "" (INBOX "b%") RETURN (SPECIAL-USE STATUS (MESSAGES UNSEEN))',
            c.List("", ("INBOX", "b%"), frozenset({"SUBSCRIBED"}), frozenset({"SPECIAL-USE"}), ("MESSAGES", "UNSEEN")),
        ),
        (b"a LSUB a/ %", c.List("a/", ("%",), lsub=True)),
        (b"a STATUS INBOX (UIDNEXT messages)", c.Status("INBOX", ("UIDNEXT", "MESSAGES"))),
        (b"a AUTHENTICATE plain", c.Authenticate("PLAIN", None)),
        (b"a AUTHENTICATE PLAIN AGEAYg==", c.Authenticate("PLAIN", b"\0a\0b")),
        (b"a AUTHENTICATE PLAIN =", c.Authenticate("PLAIN", b"")),
        (b"a ID NIL", c.Identify(())),
        (b'a ID ("name" "x" "os" NIL)', c.Identify((("name", "x"), ("os", "")))),
        (b"a ENABLE CONDSTORE", c.Enable(("CONDSTORE",))),
        (b"a UID EXPUNGE 1", c.Expunge(ONE)),
        (b"a EXPUNGE", c.Expunge(None)),
        (b"a STORE 1 +FLAGS.SILENT (\\Seen $x)", c.Store(ONE, FlagAction.ADD, True, ("\\Seen", "$x"), False)),
        (
            b"a UID STORE 1 (UNCHANGEDSINCE 7) FLAGS \\Seen",
            c.Store(ONE, FlagAction.REPLACE, False, ("\\Seen",), True, 7),
        ),
        (b"a COPY 1 Trash", c.Copy(ONE, "Trash", False, False)),
        (b"a UID MOVE 1:* Trash", c.Copy(SequenceSet(((1, None),)), "Trash", True, True)),
        (b"a FETCH 1 FAST", c.Fetch(ONE, (c.Item.FLAGS, c.Item.INTERNALDATE, c.Item.SIZE), False)),
        (b"a UID FETCH 1 FLAGS", c.Fetch(ONE, (c.Item.UID, c.Item.FLAGS), True)),
        (b"a FETCH 1 BODY[]<0.10>", c.Fetch(ONE, (c.Section((), "", b"BODY[]<0>", start=0, count=10),), False)),
        (
            b"a FETCH 1 (body.peek[1.2.Header.fields.not (a b)])",
            c.Fetch(
                ONE,
                (c.Section((1, 2), "HEADER.FIELDS.NOT", b"BODY[1.2.HEADER.FIELDS.NOT (a b)]", ("a", "b"), True),),
                False,
            ),
        ),
        (
            b"a FETCH 1 (BODY BODY[1.MIME] RFC822.HEADER)",
            c.Fetch(
                ONE,
                (
                    c.Item.BODY,
                    c.Section((1,), "MIME", b"BODY[1.MIME]"),
                    c.Section((), "HEADER", b"RFC822.HEADER", peek=True),
                ),
                False,
            ),
        ),
        (b"a SEARCH UNSEEN", c.Search(c.HasFlag("\\Seen", False), False)),
        (
            b'a UID SEARCH CHARSET UTF-8 OR FROM "x" NOT (1:2 LARGER 5)',
            c.Search(
                c.Either(
                    c.HeaderHas("from", "x"), c.Not(c.Every((c.Among(SequenceSet(((1, 2),)), False), c.Sized(True, 5))))
                ),
                True,
            ),
        ),
    ],
)
def test_commands(text: bytes, expected: c.Command) -> None:
    assert command(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        b"a",
        b"a ",
        b"a XYZZY",
        b"a SELECT",
        b"a SELECT a b",
        b"a LOGIN x",
        b"a FETCH 0 FLAGS",
        b"a FETCH 1 ()",
        b"a FETCH 1 BODY[HEADER.FIELDS ()]",
        b"a FETCH 1 BODY[]<0.0>",
        b"a FETCH 1 BODY[MIME]",
        b"a STORE 1 +FLAG x",
        b"a FETCH 99999999999 FLAGS",
        b"a SEARCH ON 31-Feb-2020",
        b"a SEARCH " + b"(" * 30 + b"ALL" + b")" * 30,
        b"a UID NOOP",
        b"a AUTHENTICATE PLAIN !!",
        b"a APPEND INBOX",
        b"a SEARCH OR ALL",
        b"a STATUS INBOX ()",
        b'a LIST "" * RETURN (X)',
        b"a NOOP x",
        b"a SEARCH NOT" + b" NOT" * 600 + b" ALL",
        b"a LOGIN \xff \xfe",
        b"a SEARCH",
    ],
)
def test_bad_commands_are_told_with_their_tag(text: bytes) -> None:
    (event,) = events(text + b"\r\n")
    assert isinstance(event, Broken)
    assert event.tag == "a"
    assert not event.fatal


def test_a_literal_is_awaited() -> None:
    assert events(b"a LOGIN {5}\r\n") == [Continue()]
    assert events(b"a LOGIN {5}\r\n", b"alice {2}\r\n", b"\r\n\r\n") == [
        Continue(),
        Continue(),
        Arrived("a", c.Login("alice", "\r\n")),
    ]


def test_an_append_is_streamed() -> None:
    head = b'b APPEND {4}\r\nSent (\\Seen) " 1-Jul-2020 10:00:00 +0200" {6}\r\n'
    found = events(head[:20], head[20:], b"abc", b"def", b"\r\nc NOOP\r\n")
    start = MessageStart("b", c.Append("Sent", ("\\Seen",), 1593590400), 6, True)
    assert found == [
        Continue(),
        start,
        MessageData(b"abc"),
        MessageData(b"def"),
        MessageEnd("b"),
        Arrived("c", c.Plain.NOOP),
    ]


def test_an_append_without_waiting_comes_in_one_piece() -> None:
    found = events(b"b APPEND INBOX {3+}\r\nabc\r\nc NOOP\r\n")
    assert [type(event) for event in found] == [MessageStart, MessageData, MessageEnd, Arrived]


def test_two_messages_in_one_append_are_refused() -> None:
    found = events(b"b APPEND INBOX {3+}\r\nabc {3+}\r\n")
    assert isinstance(found[-1], Broken)
    assert found[-1].tag == "b"


def test_a_refused_literal_is_read_past() -> None:
    reader = Reader()
    reader.feed(b"b APPEND INBOX {3+}\r\nabc\r\nc NOOP\r\n")
    assert isinstance(reader.next(), MessageStart)
    assert reader.next() is None
    reader.refuse()
    assert reader.next() == Arrived("c", c.Plain.NOOP)


def test_too_large_a_literal_is_refused_and_life_goes_on() -> None:
    found = events(b"a LOGIN {999999}\r\n", b"c NOOP\r\n")
    assert [type(event) for event in found] == [Broken, Arrived]
    found = events(b"a LOGIN {200000+}\r\n", b"x" * 200000, b" y\r\nc NOOP\r\n")
    assert [type(event) for event in found] == [Broken, Arrived]


def test_an_endless_line_is_fatal() -> None:
    reader = Reader()
    for _ in range(MAX_COMMAND // 1000 + 2):
        reader.feed(b"x" * 1000)
        event = reader.next()
        if event is not None:
            break
    assert isinstance(event, Broken)
    assert event.fatal
    reader.feed(b"y")
    assert reader.buffered == 0


def test_a_plain_line_when_expected() -> None:
    reader = Reader()
    reader.expect_line()
    reader.feed(b"DONE\r\nc NOOP\r\n")
    assert reader.next() == Line(b"DONE")
    assert reader.next() == Arrived("c", c.Plain.NOOP)


WORDS = st.sampled_from(
    [
        b"a ",
        b"FETCH ",
        b"1:*",
        b" ",
        b"(",
        b")",
        b"{3}\r\n",
        b"{3+}\r\n",
        b'"',
        b"\\",
        b"\r\n",
        b"BODY[",
        b"]",
        b"APPEND ",
        b"SEARCH ",
        b"INBOX",
        b"NOT ",
        b"UID ",
        b"STORE ",
        b"<0.1>",
        b"HEADER.FIELDS ",
        b"&",
        b"{99999999}\r\n",
        b"LIST ",
        b"\x00",
        b"\xff",
        b"SENTON ",
        b"1-Jan-2020",
        b"STATUS ",
        b"RETURN ",
        b"ID ",
        b"NIL",
        b"*",
        b"LOGIN ",
        b"\\Seen",
    ]
)


@given(st.lists(st.one_of(st.binary(max_size=12), WORDS), max_size=40))
def test_any_octets_yield_only_events(pieces: list[bytes]) -> None:
    whole = events(b"".join(pieces))
    assert [e for e in events(*pieces) if not isinstance(e, MessageData)] == [
        e for e in whole if not isinstance(e, MessageData)
    ], "how the octets are cut does not matter"


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_names_survive_the_wire(name: str) -> None:
    assert decode(encode(name)) == name


def test_utf7_by_the_book() -> None:
    # RFC 3501 §5.1.3
    assert encode("~peter/mail/台北/日本語") == b"~peter/mail/&U,BTFw-/&ZeVnLIqe-"
    assert encode("a&b") == b"a&-b"
    for bad in (b"&abc", b"&*-", b"&AA-"):
        with pytest.raises(ValueError):
            decode(bad)


def test_sets() -> None:
    chosen = SequenceSet(((2, 4), (None, 9), (6, 6)))
    assert chosen.among([1, 2, 3, 6, 8]) == [2, 3, 6, 8], "9:* is also *:9"
    assert SequenceSet(((None, None),)).among([]) == []
    assert chosen.among(range(1, 6)) == [2, 3, 4, 5], "what is beyond the end is nobody"
    assert written([1, 2, 3, 7, 9, 10]) == b"1:3,7,9:10"
