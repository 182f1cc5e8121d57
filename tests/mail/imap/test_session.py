"""The server as a client sees it, one rule of the RFCs at a time."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mail.imap.server import Limits
from tests.mail.imap.door import Client, Door, client, open_door
from tests.mail.rooms import ALICE

MESSAGE = (
    b"From: Ann <ann@x>\r\nTo: alice@y\r\nSubject: Hello\r\nDate: Mon, 1 Jun 2020 10:00:00 +0000\r\n\r\nHi there\r\n"
)
A = ALICE.id


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    async with open_door(tmp_path, tls=False) as door:
        yield door


@pytest.fixture
async def alice(door: Door) -> AsyncIterator[Client]:
    async with client(door.port) as alice:
        yield alice


async def test_log_in_in_all_ways(door: Door) -> None:
    for login in ("alice wonder", '"alice@tandem.example" {6+}\r\nwonder', "201 wonder", "ALICE wonder"):
        async with client(door.port, login=login) as one:
            assert (await one.ask("LOGIN alice wonder"))[-1].startswith(b"BAD")
    secret = base64.b64encode(b"\0alice\0wonder").decode()
    async with client(door.port, login="") as one:
        assert b"AUTH=PLAIN" in (await one.ok("CAPABILITY"))[0]
        await one.ok(f"AUTHENTICATE PLAIN {secret}")
        assert b"IDLE" in (await one.ok("CAPABILITY"))[0]
    async with client(door.port, login="") as one:
        one.say(b"a AUTHENTICATE PLAIN\r\n")
        assert await one.hear() == b"+ "
        one.say(secret.encode() + b"\r\n")
        assert (await one.until(b"a"))[-1].startswith(b"OK [CAPABILITY")


async def test_a_wrong_password_is_answered_late_and_alike(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mail.imap.entrance.LOGIN_DELAY", 0.05)
    async with client(door.port, login="") as one:
        start = asyncio.get_running_loop().time()
        wrong = await one.ask("LOGIN alice nonsense")
        assert asyncio.get_running_loop().time() - start >= 0.05
        assert wrong == await one.ask("LOGIN nobody nonsense")
        assert wrong[-1].startswith(b"NO [AUTHENTICATIONFAILED]")
        answers = await one.ask("LOGIN alice x")
        assert answers[0].startswith(b"* BYE")
        with pytest.raises(ConnectionError):
            await one.hear()
    assert door.metrics.value("imap.login_failures") == 3


async def test_commands_out_of_place(door: Door) -> None:
    async with client(door.port, login="") as one:
        for command in ("SELECT INBOX", "FETCH 1 FLAGS", "IDLE", "STARTTLS", 'LIST "" *'):
            assert (await one.ask(command))[-1].startswith(b"BAD"), command
        await one.ok("LOGIN alice wonder")
        for command in ("FETCH 1 FLAGS", "EXPUNGE", "CLOSE", "CHECK", "SEARCH ALL"):
            assert (await one.ask(command))[-1].startswith(b"BAD"), command
        assert await one.ask("LOGOUT") == [b"* BYE Good bye", b"OK LOGOUT completed"]


async def test_endless_errors_end_the_session(door: Door) -> None:
    async with client(door.port, login="") as one:
        for _ in range(29):
            assert (await one.ask("XYZZY"))[-1].startswith(b"BAD")
        assert await one.ask("XYZZY") == [b"BAD unknown command"]
        assert await one.hear() == b"* BYE Too many errors"


async def test_select_tells_all(alice: Client, door: Door) -> None:
    await door.store.append(A, "INBOX", MESSAGE, flags=["\\Seen", "Work"])
    await door.store.append(A, "INBOX", MESSAGE)
    answers = await alice.ok("SELECT inbox")
    validity = (await door.store.mailbox(A, "INBOX")).uidvalidity
    assert b"* 2 EXISTS" in answers
    assert b"* 2 RECENT" in answers
    assert b"* OK [UNSEEN 2] First unseen" in answers
    assert b"* FLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft Work)" in answers
    assert b"* OK [UIDVALIDITY %d] Ok" % validity in answers
    assert b"* OK [UIDNEXT 3] Ok" in answers
    assert b"* 0 RECENT" in await alice.ok("EXAMINE INBOX")
    assert (await alice.ask("STORE 1 +FLAGS (\\Seen)"))[-1].startswith(b"NO [READ-ONLY]")
    assert (await alice.ask("SELECT Nowhere"))[-1].startswith(b"NO [NONEXISTENT]")
    assert (await alice.ask("FETCH 1 FLAGS"))[-1].startswith(b"BAD"), "a SELECT that fails leaves nothing selected"


async def test_append_tells_where_and_keeps_every_octet(alice: Client, door: Door) -> None:
    odd = b"Subject: odd\n\nbare\nlines \xff\x01 and no end"
    answer = await alice.append("Sent", odd, '(\\Seen) "01-Jul-2020 10:00:00 +0200" ')
    validity = (await door.store.mailbox(A, "Sent")).uidvalidity
    assert answer == b"OK [APPENDUID %d 1] APPEND completed" % validity
    await alice.ok("SELECT Sent")
    (got,) = await alice.ok("FETCH 1 (FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[])")
    assert got == (
        b'* 1 FETCH (FLAGS (\\Seen \\Recent) INTERNALDATE " 1-Jul-2020 08:00:00 +0000"'
        b" RFC822.SIZE %d BODY[] {%d}\r\n%b)" % (len(odd), len(odd), odd)
    )


async def test_append_is_refused_before_the_octets(alice: Client) -> None:
    for command, code in (
        ("APPEND Nowhere {10}", b"NO [TRYCREATE]"),
        ("APPEND INBOX {99999999}", b"NO [TOOBIG]"),
        ("APPEND INBOX (\\Nonsense) {10}", b"NO [CANNOT]"),
        ("APPEND INBOX (x {10}", b"BAD"),
    ):
        assert (await alice.ask(command))[-1].startswith(code), command
    assert (await alice.append("Nowhere", b"x" * 1000)).startswith(b"NO [TRYCREATE]")
    await alice.ok("NOOP")


async def test_a_large_append_goes_by_the_disk(alice: Client, door: Door) -> None:
    large = MESSAGE + b"0123456789abcdef\r\n" * 200_000
    assert (await alice.append("INBOX", large)).startswith(b"OK")
    await alice.ok("SELECT INBOX")
    (got,) = await alice.ok("FETCH 1 BODY.PEEK[]")
    assert got == b"* 1 FETCH (BODY[] {%d}\r\n%b)" % (len(large), large)
    (got,) = await alice.ok("FETCH 1 BODY.PEEK[TEXT]<3000000.20>")
    start = len(MESSAGE) - len(b"Hi there\r\n") + 3_000_000
    assert got == b"* 1 FETCH (BODY[TEXT]<3000000> {20}\r\n%b)" % large[start : start + 20]


async def test_reading_sets_seen_and_peeking_does_not(alice: Client, door: Door) -> None:
    await door.store.append(A, "INBOX", MESSAGE)
    await alice.ok("SELECT INBOX")
    assert b"FLAGS" not in (await alice.ok("FETCH 1 BODY.PEEK[TEXT]"))[0]
    assert (await alice.ok("FETCH 1 BODY[TEXT]")) == [
        b"* 1 FETCH (BODY[TEXT] {10}\r\nHi there\r\n FLAGS (\\Seen \\Recent))"
    ]
    assert await alice.ok("NOOP") == [], "its own change is no news"
    await alice.ok("STORE 1 -FLAGS.SILENT (\\Seen)")
    await alice.ok("EXAMINE INBOX")
    await alice.ok("FETCH 1 BODY[TEXT]")
    (got,) = await alice.ok("FETCH 1 FLAGS")
    assert got == b"* 1 FETCH (FLAGS ())"


async def test_fetch_sections(alice: Client, door: Door) -> None:
    await door.store.append(A, "INBOX", MESSAGE)
    await alice.ok("SELECT INBOX")
    (got,) = await alice.ok("UID FETCH 1 (BODY.PEEK[HEADER.FIELDS (SUBJECT X-None)])")
    assert got == b"* 1 FETCH (UID 1 BODY[HEADER.FIELDS (SUBJECT X-None)] {18}\r\nSubject: Hello\r\n\r\n)"
    (got,) = await alice.ok("FETCH 1 BODY.PEEK[1]<3.100>")
    assert got == b"* 1 FETCH (BODY[1]<3> {7}\r\nthere\r\n)"
    (got,) = await alice.ok("FETCH 1 (ENVELOPE BODY)")
    assert got == (
        b'* 1 FETCH (ENVELOPE ("Mon, 1 Jun 2020 10:00:00 +0000" "Hello" (("Ann" NIL "ann" "x")) (("Ann" NIL "ann" "x"))'
        b' (("Ann" NIL "ann" "x")) ((NIL NIL "alice" "y")) NIL NIL NIL NIL)'
        b' BODY ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 10 1))'
    )
    assert await alice.ok("FETCH 1 (BODY[2] BODY[1.HEADER])") == [
        b"* 1 FETCH (BODY[2] NIL BODY[1.HEADER] NIL FLAGS (\\Seen \\Recent))"
    ]
    assert await alice.ok("FETCH 7:9 FLAGS") == []


async def test_store_copy_move_expunge(alice: Client, door: Door) -> None:
    for _ in range(4):
        await door.store.append(A, "INBOX", MESSAGE)
    await alice.ok("SELECT INBOX")
    assert await alice.ok("STORE 1:2 +FLAGS (\\Deleted $x)") == [
        b"* 1 FETCH (UID 1 FLAGS (\\Deleted $x \\Recent))",
        b"* 2 FETCH (UID 2 FLAGS (\\Deleted $x \\Recent))",
    ]
    assert await alice.ok("UID EXPUNGE 2:4") == [b"* 2 EXPUNGE"]
    validity = (await door.store.mailbox(A, "Trash")).uidvalidity
    assert (await alice.ask("COPY 2:3 Trash"))[-1] == b"OK [COPYUID %d 3:4 1:2] COPY completed" % validity
    assert await alice.ask("UID MOVE 3 Trash") == [
        b"* OK [COPYUID %d 3 3] Moved" % validity,
        b"* 2 EXPUNGE",
        b"OK MOVE completed",
    ]
    assert (await alice.ask("COPY 1 Nowhere"))[-1].startswith(b"NO [TRYCREATE]")
    assert await alice.ok("EXPUNGE") == [b"* 1 EXPUNGE"]
    assert await alice.ok("UID SEARCH ALL") == [b"* SEARCH 4"]
    await alice.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    assert await alice.ok("CLOSE") == []
    assert (await door.store.status(A, "INBOX")).messages == 0


async def test_no_expunge_is_told_during_fetch(alice: Client, door: Door) -> None:
    for _ in range(3):
        await door.store.append(A, "INBOX", MESSAGE)
    await alice.ok("SELECT INBOX")
    await door.store.set_flags(A, "INBOX", [1], ["\\Deleted"])
    await door.store.expunge(A, "INBOX")
    await door.store.append(A, "INBOX", MESSAGE)
    answers = await alice.ask("FETCH 1:3 FLAGS")
    assert answers[0] == b"* 2 FETCH (FLAGS (\\Recent))"
    assert answers[-1].startswith(b"NO [EXPUNGEISSUED]")
    assert b"* 4 EXISTS" in answers
    assert b"* 1 EXPUNGE" not in answers
    assert await alice.ok("NOOP") == [b"* 1 EXPUNGE"]


async def test_idle_tells_at_once(alice: Client, door: Door) -> None:
    await alice.ok("SELECT INBOX")
    alice.say(b"i IDLE\r\n")
    assert (await alice.hear()).startswith(b"+")
    start = asyncio.get_running_loop().time()
    await door.store.append(A, "INBOX", MESSAGE, voice=True)
    assert [await alice.hear(), await alice.hear()] == [b"* 1 EXISTS", b"* 1 RECENT"]
    assert asyncio.get_running_loop().time() - start < 0.5
    await door.store.set_flags(A, "INBOX", [1], ["\\Seen"])
    assert await alice.hear() == b"* 1 FETCH (UID 1 FLAGS (\\Seen \\Recent))"
    await door.store.append(2, "INBOX", MESSAGE)
    await door.store.append(A, "Sent", MESSAGE)
    await door.store.set_flags(A, "INBOX", [1], ["\\Deleted"])
    assert await alice.hear() == b"* 1 FETCH (UID 1 FLAGS (\\Seen \\Deleted \\Recent))"
    await door.store.expunge(A, "INBOX")
    assert await alice.hear() == b"* 1 EXPUNGE"
    alice.say(b"DONE\r\n")
    assert await alice.until(b"i") == [b"OK IDLE completed"]


async def test_two_sessions_see_each_other(alice: Client, door: Door) -> None:
    await door.store.append(A, "INBOX", MESSAGE)
    await alice.ok("SELECT INBOX")
    async with client(door.port) as other:
        assert b"* 0 RECENT" in await other.ok("SELECT INBOX")
        await other.ok("STORE 1 +FLAGS ($Todo)")
        assert await alice.ok("NOOP") == [
            b"* FLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft $Todo)",
            b"* 1 FETCH (UID 1 FLAGS ($Todo \\Recent))",
        ]


async def test_a_mailbox_deleted_under_a_client(alice: Client, door: Door) -> None:
    await alice.ok("CREATE Temp")
    await alice.ok("SELECT Temp")
    await door.store.delete(A, "Temp")
    alice.say(b"n NOOP\r\n")
    assert (await alice.hear()).startswith(b"* BYE")


async def test_lists(alice: Client) -> None:
    await alice.ok("CREATE a/b/")
    await alice.ok('CREATE "Entw&APw-rfe"')
    assert await alice.ok('LIST "" ""') == [b'* LIST (\\Noselect) "/" ""']
    assert await alice.ok('LIST "" %') == [
        b'* LIST (\\HasNoChildren) "/" INBOX',
        b'* LIST (\\HasNoChildren \\Archive) "/" Archive',
        b'* LIST (\\HasNoChildren \\Drafts) "/" Drafts',
        b'* LIST (\\HasNoChildren) "/" Entw&APw-rfe',
        b'* LIST (\\HasNoChildren \\Junk) "/" Junk',
        b'* LIST (\\HasNoChildren \\Sent) "/" Sent',
        b'* LIST (\\HasNoChildren \\Trash) "/" Trash',
        b'* LIST (\\HasChildren) "/" a',
    ]
    assert await alice.ok("LIST a/ *") == [b'* LIST (\\HasNoChildren) "/" a/b']
    await alice.ok("SUBSCRIBE a/b")
    await alice.ok("SUBSCRIBE later/on")
    await alice.ok("UNSUBSCRIBE Junk")
    assert b'* LSUB (\\Noselect) "/" a' in await alice.ok('LSUB "" %')
    assert b'* LSUB () "/" a/b' in await alice.ok('LSUB "" *')
    found = await alice.ok('LIST (SUBSCRIBED RECURSIVEMATCH) "" (INBOX a later%) RETURN (STATUS (MESSAGES))')
    assert found == [
        b'* LIST (\\HasNoChildren \\Subscribed) "/" INBOX',
        b"* STATUS INBOX (MESSAGES 0)",
        b'* LIST (\\HasChildren) "/" a ("CHILDINFO" ("SUBSCRIBED"))',
        b"* STATUS a (MESSAGES 0)",
    ]
    assert len(await alice.ok('LIST (SPECIAL-USE) "" *')) == 5
    assert await alice.ok("STATUS INBOX (MESSAGES UIDNEXT UNSEEN)") == [
        b"* STATUS INBOX (MESSAGES 0 UIDNEXT 1 UNSEEN 0)"
    ]
    await alice.ok("RENAME a x")
    assert await alice.ok('LIST "" x/%') == [b'* LIST (\\HasNoChildren) "/" x/b']
    assert (await alice.ask("DELETE x"))[-1].startswith(b"NO [NOPERM]")
    assert (await alice.ask("CREATE INBOX"))[-1].startswith(b"NO [ALREADYEXISTS]")


@pytest.mark.parametrize(
    ("key", "found"),
    [
        ("ALL", b" 1 2 3"),
        ("UNSEEN", b" 2 3"),
        ("SEEN KEYWORD Work", b" 1"),
        ("FROM ann", b" 1 2"),
        ("NOT FROM ann", b" 3"),
        ('HEADER X-Mark ""', b" 3"),
        ("SUBJECT {7+}\r\nGrüße", b" 3"),
        ('BODY "hi THERE"', b" 1 2"),
        ('TEXT "schön"', b" 3"),
        ("SENTON 1-Jun-2020", b" 1 2"),
        ("SENTSINCE 2-Jun-2020", b" 3"),
        ("SINCE 1-Jan-2023 BEFORE 1-Jan-2024", b" 2 3"),
        ("ON 2-Jan-1970", b" 1"),
        ("OR 1 UID 3", b" 1 3"),
        ("LARGER 120", b" 3"),
        ("2:* SMALLER 120", b" 2"),
        ("NEW", b" 2 3"),
        ("OR (FROM ann BODY nowhere) SUBJECT gr", b" 3"),
        ("CHARSET UTF-8 UNDELETED ANSWERED", b""),
    ],
)
async def test_search(alice: Client, door: Door, key: str, found: bytes) -> None:
    other = (
        b"From: bob@x\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nDate: Tue, 2 Jun 2020 23:00:00 -0700\r\nX-Mark: 1\r\n"
        b"Content-Type: text/plain; charset=iso-8859-1\r\n"
        b"Content-Transfer-Encoding: quoted-printable\r\n\r\nsch=F6n\r\n"
    )
    await door.store.append(A, "INBOX", MESSAGE, flags=["\\Seen", "work"], internal_date=86400)
    await door.store.append(A, "INBOX", MESSAGE)
    await door.store.append(A, "INBOX", other)
    await alice.ok("SELECT INBOX")
    assert await alice.ok(f"SEARCH {key}".encode()) == [b"* SEARCH" + found]


async def test_search_in_an_unknown_charset(alice: Client) -> None:
    await alice.ok("SELECT INBOX")
    assert (await alice.ask("SEARCH CHARSET KOI8-R ALL"))[-1].startswith(b"NO [BADCHARSET")


async def test_condstore(alice: Client, door: Door) -> None:
    await door.store.append(A, "INBOX", MESSAGE)
    await door.store.append(A, "INBOX", MESSAGE)
    assert await alice.ok("ENABLE CONDSTORE X-NONE") == [b"* ENABLED CONDSTORE"]
    assert b"* OK [HIGHESTMODSEQ 3] Ok" in await alice.ok("SELECT INBOX (CONDSTORE)")
    assert await alice.ok("STORE 1 +FLAGS.SILENT (\\Seen)") == [b"* 1 FETCH (UID 1 MODSEQ (4))"]
    answers = await alice.ask("STORE 1:2 (UNCHANGEDSINCE 3) +FLAGS (\\Flagged)")
    assert answers == [b"* 2 FETCH (UID 2 FLAGS (\\Flagged \\Recent) MODSEQ (5))", b"OK [MODIFIED 1] Some changed"]
    assert await alice.ok("UID FETCH 1:* (FLAGS) (CHANGEDSINCE 4)") == [
        b"* 2 FETCH (UID 2 FLAGS (\\Flagged \\Recent) MODSEQ (5))"
    ]
    assert await alice.ok("SEARCH MODSEQ 4") == [b"* SEARCH 1 2 (MODSEQ 5)"]
    assert await alice.ok("STATUS INBOX (HIGHESTMODSEQ)") == [b"* STATUS INBOX (HIGHESTMODSEQ 5)"]


async def test_other_commands(alice: Client) -> None:
    assert await alice.ok("NAMESPACE") == [b'* NAMESPACE (("" "/")) NIL NIL']
    assert await alice.ok('ID ("name" "test")') == [b'* ID ("name" "Tandem")']
    await alice.ok("SELECT INBOX")
    await alice.ok("CHECK")
    await alice.ok("UNSELECT")
    assert (await alice.ask("CHECK"))[-1].startswith(b"BAD")


async def test_too_many_connections(tmp_path: Path) -> None:
    async with open_door(tmp_path, tls=False, limits=Limits(per_address=1)) as door, client(door.port):
        reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
        assert (await reader.readline()).startswith(b"* BYE [UNAVAILABLE]")
        writer.close()


async def test_silence_ends_the_session(tmp_path: Path) -> None:
    async with (
        open_door(tmp_path, tls=False, limits=Limits(before_login=0.05)) as door,
        client(door.port, login="") as one,
    ):
        assert await one.hear() == b"* BYE Silent for too long"


async def test_the_server_says_good_bye(tmp_path: Path) -> None:
    async with open_door(tmp_path, tls=False) as door, client(door.port) as one:
        await door.server.close()
        assert (await one.hear()).startswith(b"* BYE")


async def test_a_client_that_leaves_in_the_middle(door: Door) -> None:
    for ending in (
        b"a APPEND INBOX {100}\r\nhalf",
        b"a FET",
        b"a IDLE\r\n",
        b"a APPEND INBOX {3000000+}\r\n" + b"x" * 2_000_000,
    ):
        async with client(door.port) as one:
            one.say(ending)
            await one.writer.drain()
    async with client(door.port) as one:
        assert b"* 0 EXISTS" in await one.ok("SELECT INBOX")
    assert door.metrics.value("imap.crashed") == 0
