"""A client that says anything at all: it gets BAD, NO or BYE, and the server never fails inside."""

from __future__ import annotations

import asyncio
import random

import pytest

from base.clock import ManualClock
from base.metrics import Metrics
from base.storage.inline import InlineDatabases
from mail.imap.server import ImapServer
from mail.store import MailStore
from tests.mail.imap.test_simulated import Wire
from tests.mail.rooms import ALICE, Village
from tests.simulation.virtual import simulate

VERBS = [
    *("FETCH", "STORE", "SEARCH", "COPY", "MOVE", "UID FETCH", "UID STORE", "UID SEARCH", "UID COPY", "UID EXPUNGE"),
    *(
        "SELECT",
        "EXAMINE",
        "CREATE",
        "DELETE",
        "RENAME",
        "SUBSCRIBE",
        "UNSUBSCRIBE",
        "LIST",
        "LSUB",
        "STATUS",
        "APPEND",
    ),
    *("NOOP", "CHECK", "CLOSE", "UNSELECT", "EXPUNGE", "IDLE", "ENABLE", "ID", "NAMESPACE", "AUTHENTICATE", "LOGIN"),
]
WORDS = [
    *(
        "1",
        "1:*",
        "*",
        "2,4:3",
        "0",
        "99999999999",
        "INBOX",
        '"Sent"',
        "a/b",
        '"&AOQ-"',
        '"&"',
        "(",
        ")",
        "FLAGS",
        "ALL",
    ),
    *("(FLAGS UID)", "BODY[]", "BODY.PEEK[1.2.HEADER]<1.5>", "BODY[HEADER.FIELDS (A B)]", "ENVELOPE", "BODYSTRUCTURE"),
    *("+FLAGS", "-FLAGS.SILENT", "(\\Seen)", "\\Deleted", "$k", "(\\Nope)", "FROM", "x", "OR", "NOT", "UNSEEN", "BODY"),
    *("SINCE", "1-Jan-2020", "31-Feb-2020", "LARGER", "HEADER", '""', "%", '"*"', "RETURN", "(STATUS (MESSAGES))"),
    *(
        "{3+}\r\nabc",
        "{3}",
        "{0+}\r\n",
        "{99999999}",
        '"',
        "NIL",
        "\x00",
        "é",
        "(MESSAGES UIDNEXT)",
        "(CHANGEDSINCE 1)",
    ),
    *("PLAIN", "AGFsaWNlAHdvbmRlcg==", "=", "CONDSTORE", "DONE", "RFC822.SIZE", "FULL", "MODSEQ", "TEXT", "KEYWORD"),
]
MESSAGE = (
    b"From: a\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b\r\nContent-Type: message/rfc822"
    b"\r\n\r\nSubject: in\r\n\r\ndeep\r\n--b--\r\n"
)


def _line(chance: random.Random) -> bytes:
    if chance.random() < 0.05:
        return chance.randbytes(chance.randint(0, 60))
    words = [chance.choice(VERBS), *chance.choices(WORDS, k=chance.randint(0, 5))]
    return f"t {' '.join(words)}\r\n".encode()


@pytest.mark.parametrize("seed", range(40))
def test_nothing_that_is_said_breaks_the_server(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mail.imap.session.MAX_BROKEN", 1_000_000)  # else most talks would end early

    async def play() -> None:
        chance = random.Random(seed)
        databases = InlineDatabases()
        metrics = Metrics()
        store = MailStore(databases, ManualClock(), metrics)
        server = ImapServer(store, Village(), metrics)
        for _ in range(3):
            await store.append(ALICE.id, "INBOX", MESSAGE)
        for _ in range(4):
            wire = Wire()
            server.accepted(wire)
            wire.say("a LOGIN alice wonder\r\nb SELECT INBOX")
            for _ in range(60):
                octets = _line(chance)
                cut = chance.randint(0, len(octets))
                wire.data_received(octets[:cut])
                await asyncio.sleep(0.01)
                wire.data_received(octets[cut:])
                await asyncio.sleep(0.05)
            wire.eof_received()
            await asyncio.sleep(5)
            assert wire.gone, "a client that left is forgotten"
        await server.close()
        await store.close()
        assert metrics.value("imap.crashed") == 0
        databases.discard()

    simulate(play())
