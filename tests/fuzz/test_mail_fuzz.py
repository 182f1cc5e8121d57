"""Fuzz target: whatever octets come in at the mail door, in whatever pieces, a documented event comes out."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

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
from tests.fuzz.mutations import spoilt

COMMANDS = [
    b"a LOGIN alice wonder\r\n",
    b'b LIST (SUBSCRIBED) "" (INBOX "b%") RETURN (SPECIAL-USE STATUS (MESSAGES UNSEEN))\r\n',
    b"c UID FETCH 1:*,7 (FLAGS BODY.PEEK[1.2.HEADER.FIELDS (From To)]<0.100> ENVELOPE) (CHANGEDSINCE 5)\r\n",
    b"d UID SEARCH CHARSET UTF-8 OR (SEEN NOT FROM x) (SINCE 1-Feb-2020 LARGER 5 HEADER X {1}\r\ny)\r\n",
    b'e APPEND "Drafts" (\\Seen $X) " 1-Feb-2020 10:00:00 +0100" {5}\r\nhello\r\n',
    b"f APPEND INBOX {3+}\r\nabc\r\ng STORE 1:3 (UNCHANGEDSINCE 4) -FLAGS.SILENT (\\Deleted)\r\n",
    b'h SELECT {3+}\r\na b (CONDSTORE)\r\ni IDLE\r\nDONE\r\nj ID ("name" "x")\r\nk MOVE 1 Trash\r\n',
]
WORDS = [b"{99}", b"{3+}\r\n", b"1:*", b"BODY[", b"UID ", b"\\Seen", b" (", b"NIL", b"&AP-", b"{4294967296}\r\n"]
Known = Arrived | Line | Continue | MessageStart | MessageData | MessageEnd | Broken


@given(st.lists(spoilt(COMMANDS, WORDS), min_size=1, max_size=4), st.integers(1, 50), st.booleans())
def test_imap_commands(pieces: list[bytes], step: int, takes: bool) -> None:
    stream = b"".join(pieces)
    reader = Reader()
    for start in range(0, len(stream), step):
        reader.feed(stream[start : start + step])
        while (event := reader.next()) is not None:
            _judge(reader, event, takes)
        assert reader.buffered <= MAX_COMMAND + step


def _judge(reader: Reader, event: Event, takes: bool) -> None:
    assert isinstance(event, Known)
    if isinstance(event, MessageStart):
        (reader.accept if takes else reader.refuse)()
