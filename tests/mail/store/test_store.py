"""The store through its front: what is committed, what the feed tells, what is refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from base.failures import Failure
from mail.store import Change, Flag, FlagAction, Kind, MailStore
from mail.store.names import Pattern, check_new
from mail.store.tables import PIECE
from tests.mail.rooms import disk_store, memory_store

A = 1
MESSAGE = b"Subject: one\r\n\r\nbody\r\n"


@pytest.fixture
async def store() -> AsyncIterator[MailStore]:
    async with memory_store() as store:
        yield store


async def refused(work: object, code: str) -> None:
    with pytest.raises(Failure) as failure:
        await work  # type: ignore[misc]
    assert failure.value.code == code


async def test_a_new_account_has_the_usual_mailboxes(store: MailStore) -> None:
    found = await store.mailboxes(A)
    assert [(m.name, m.special) for m in found] == [
        ("INBOX", ""),
        ("Archive", "Archive"),
        ("Drafts", "Drafts"),
        ("Junk", "Junk"),
        ("Sent", "Sent"),
        ("Trash", "Trash"),
    ]
    assert len({m.uidvalidity for m in found}) == 6
    assert await store.subscriptions(A) == {m.name for m in found}


async def test_appended_octets_come_back_as_they_were(store: MailStore) -> None:
    appended = await store.append(A, "inbox", MESSAGE, flags=["\\seen", "$Work"], internal_date=1234)
    (message,) = await store.messages(A, "INBOX")
    assert (message.uid, message.internal_date, message.size) == (appended.uid, 1234, len(MESSAGE))
    assert list(message.flags) == ["\\Seen", "$Work"]
    assert await store.octets(A, message) == MESSAGE
    assert await store.header(A, message) == b"Subject: one\r\n\r\n"
    assert (await store.mailbox(A, "INBOX")).keywords == ("$Work",)


class Large:
    """Octets that come in pieces of an odd length."""

    def __init__(self, octets: bytes, step: int) -> None:
        self._octets, self._step = octets, step
        self.size = len(octets)

    def pieces(self) -> Iterator[bytes]:
        for start in range(0, len(self._octets), self._step):
            yield self._octets[start : start + self._step]


@pytest.mark.parametrize("header", [b"A: b\r\n\r\n", b"", b"A: b\n\n", b"no end of header", b"\r\n"])
@pytest.mark.parametrize("body", [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE + 17])
async def test_any_stretch_of_a_large_message_can_be_read(store: MailStore, header: bytes, body: int) -> None:
    octets = header + bytes(range(1, 256)).replace(b"\n", b"") * (body // 254 + 1)
    octets = octets[: len(header) + body]
    await store.append(A, "INBOX", Large(octets, 9973))
    await store.append(A, "INBOX", octets)
    for message in await store.messages(A, "INBOX"):
        assert b"".join([piece async for piece in store.stream(A, message)]) == octets
        for start in (0, 3, len(header), PIECE - 1, PIECE + len(header), 2 * PIECE):
            assert await store.octets(A, message, start, PIECE) == octets[start : start + PIECE]


async def test_a_message_that_ends_early_leaves_nothing(store: MailStore) -> None:
    cut = Large(b"A: b\r\n\r\nxyz", 4)
    cut.size += 1
    await refused(store.append(A, "INBOX", cut), "invalid")
    assert (await store.status(A, "INBOX")).messages == 0
    assert (await store.append(A, "INBOX", MESSAGE)).uid == 1


async def test_flags_change_and_modseq_grows(store: MailStore) -> None:
    one = await store.append(A, "INBOX", MESSAGE)
    two = await store.append(A, "INBOX", MESSAGE)
    before = (await store.mailbox(A, "INBOX")).modseq
    (seen,) = await store.set_flags(A, "INBOX", [one.uid, 99], ["\\Seen", "Work"])
    assert seen.modseq == before + 1
    (same,) = await store.set_flags(A, "INBOX", [one.uid], ["\\SEEN", "work"])
    assert same.modseq == seen.modseq, "setting what is set is no change"
    (less,) = await store.set_flags(A, "INBOX", [one.uid], ["\\Seen"], FlagAction.REMOVE)
    assert list(less.flags) == ["Work"]
    (other,) = await store.set_flags(A, "INBOX", [one.uid], ["\\Flagged"], FlagAction.REPLACE)
    assert list(other.flags) == ["\\Flagged"]
    changes = await store.changes(A, "INBOX", before)
    assert [m.uid for m in changes.changed] == [one.uid]
    assert two.uid == 2


async def test_expunge_takes_only_what_is_deleted_and_named(store: MailStore) -> None:
    for _ in range(4):
        await store.append(A, "INBOX", MESSAGE)
    start = (await store.mailbox(A, "INBOX")).modseq
    await store.set_flags(A, "INBOX", [1, 2, 3], ["\\Deleted"])
    assert await store.expunge(A, "INBOX", [2, 4]) == (2,)
    assert await store.expunge(A, "INBOX") == (1, 3)
    assert await store.expunge(A, "INBOX") == ()
    changes = await store.changes(A, "INBOX", start)
    assert changes.expunged == (1, 2, 3)
    assert changes.complete
    assert (await store.append(A, "INBOX", MESSAGE)).uid == 5, "a UID is never used twice"


async def test_copy_shares_octets_and_move_removes(store: MailStore) -> None:
    await store.append(A, "INBOX", MESSAGE, flags=["\\Seen", "Work"], internal_date=77)
    copied = await store.copy(A, "INBOX", [1], "Archive")
    assert (copied.sources, copied.targets) == ((1,), (1,))
    moved = await store.move(A, "INBOX", [1, 7], "Archive")
    assert (moved.sources, moved.targets) == ((1,), (2,))
    assert await store.messages(A, "INBOX") == ()
    first, second = await store.messages(A, "Archive")
    assert first.blob == second.blob
    assert list(second.flags) == ["\\Seen", "Work"]
    assert second.internal_date == 77
    await store.set_flags(A, "Archive", [1], ["\\Deleted"])
    await store.expunge(A, "Archive")
    assert await store.octets(A, second) == MESSAGE, "the octets stay while one message has them"
    await refused(store.copy(A, "Archive", [2], "Nowhere"), "not-found")


async def test_the_same_queue_id_is_delivered_once(store: MailStore) -> None:
    first = await store.append(A, "INBOX", MESSAGE, queue_id="q1")
    again = await store.append(A, "INBOX", MESSAGE, queue_id="q1")
    assert (again.uid, again.again) == (first.uid, True)
    assert (await store.status(A, "INBOX")).messages == 1


async def test_the_lamp_counts_voice_messages(store: MailStore) -> None:
    await store.append(A, "INBOX", MESSAGE, voice=True)
    await store.append(A, "INBOX", MESSAGE, voice=True)
    await store.append(A, "INBOX", b"Message-Context: voice-message\r\n\r\n")
    assert await store.voice_counts(A) == (2, 0)
    await store.set_flags(A, "INBOX", [1], ["\\Seen"])
    assert await store.voice_counts(A) == (1, 1)
    await store.move(A, "INBOX", [2], "Archive")
    assert await store.voice_counts(A) == (1, 1), "per account, in whatever mailbox"
    await store.set_flags(A, "INBOX", [1], ["\\Deleted"])
    assert await store.voice_counts(A) == (1, 0)


async def test_the_feed_tells_after_the_commit(store: MailStore) -> None:
    heard: list[Change] = []
    subscription = store.feed.subscribe(A, heard.append)
    everybody: list[Change] = []
    store.feed.subscribe(None, everybody.append)
    await store.append(A, "INBOX", MESSAGE, voice=True)
    await store.append(2, "INBOX", MESSAGE)
    await store.set_flags(A, "INBOX", [1], ["\\Deleted"])
    await store.set_flags(A, "INBOX", [1], ["\\Deleted"])
    await store.expunge(A, "INBOX")
    assert [(c.kind, c.voice, c.mailbox) for c in heard] == [
        (Kind.ARRIVED, True, "INBOX"),
        (Kind.FLAGS, True, "INBOX"),
        (Kind.EXPUNGED, True, "INBOX"),
    ]
    subscription.close()
    subscription.close()
    await store.append(A, "INBOX", MESSAGE)
    assert len(heard) == 3
    assert len(everybody) == 5


async def test_a_reader_that_fails_does_not_fail_the_delivery(store: MailStore) -> None:
    def broken(change: Change) -> None:
        raise ValueError("reader")

    store.feed.subscribe(A, broken)
    await store.append(A, "INBOX", MESSAGE)


async def test_a_cancelled_caller_neither_undoes_nor_silences(store: MailStore) -> None:
    heard = asyncio.Event()
    store.feed.subscribe(A, lambda change: heard.set())
    task = asyncio.create_task(store.append(A, "INBOX", MESSAGE))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait_for(heard.wait(), 2)
    assert (await store.status(A, "INBOX")).messages == 1


async def test_mailboxes_are_made_renamed_and_deleted(store: MailStore) -> None:
    made = await store.create(A, "a/b/c")
    assert {"a", "a/b", "a/b/c"} <= {m.name for m in await store.mailboxes(A)}
    await refused(store.create(A, "a"), "exists")
    await refused(store.delete(A, "a"), "denied")
    await store.rename(A, "a", "x/y")
    assert (await store.mailbox(A, made.id)).name == "x/y/b/c"
    assert (await store.mailbox(A, "x/y/b/c")).uidvalidity == made.uidvalidity
    await refused(store.rename(A, "x", "x/z"), "invalid")
    await refused(store.rename(A, "x", "Sent"), "exists")
    await store.append(A, "x/y/b/c", MESSAGE)
    await store.delete(A, "x/y/b/c")
    await refused(store.mailbox(A, made.id), "not-found")
    again = await store.create(A, "x/y/b/c")
    assert again.uidvalidity > made.uidvalidity
    await refused(store.delete(A, "INBOX"), "denied")
    await store.append(A, "INBOX", MESSAGE)
    await store.rename(A, "INBOX", "Old/Box")
    assert (await store.status(A, "INBOX")).messages == 0
    assert (await store.status(A, "Old/Box")).messages == 1


@pytest.mark.parametrize(
    "name", ["", "/", "a//b", "a/", "..", "a/../b", "a*", "a\x00b", "x" * 600, " a", "a%", "/".join("a" * 20)]
)
def test_bad_names_are_refused(name: str) -> None:
    with pytest.raises(Failure):
        check_new(name)


def test_inbox_in_any_case() -> None:
    assert check_new("inBox/Sub") == "INBOX/Sub"


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        ("*", "a/b", True),
        ("%", "a/b", False),
        ("%", "a", True),
        ("a/%", "a/b", True),
        ("a/%", "a/b/c", False),
        ("a*c", "a/b/c", True),
        ("%/%", "a/b", True),
        ("inbox", "INBOX", True),
        ("IN%", "INBOX", True),
        ("%%*%%", "a/b", True),
        ("a", "ab", False),
        ("", "a", False),
        ("*a*a*a*a*a*a*a*b", "a" * 500, False),
    ],
)
def test_patterns(pattern: str, name: str, matches: bool) -> None:
    assert Pattern.of(pattern).matches(name) is matches


async def test_recent_is_told_once(store: MailStore) -> None:
    inbox = await store.mailbox(A, "INBOX")
    await store.append(A, "INBOX", MESSAGE)
    assert (await store.status(A, "INBOX")).recent == 1
    assert await store.recent_from(A, inbox.id, claim=False) == 1
    assert await store.recent_from(A, inbox.id, claim=True) == 1
    assert await store.recent_from(A, inbox.id, claim=True) == 2
    assert (await store.status(A, "INBOX")).recent == 0


async def test_flags_that_are_refused(store: MailStore) -> None:
    await refused(store.append(A, "INBOX", MESSAGE, flags=["\\Nonsense"]), "invalid")
    await refused(store.append(A, "INBOX", MESSAGE, flags=["a b"]), "invalid")
    await refused(store.append(A, "INBOX", MESSAGE, flags=[f"k{n}" for n in range(40)]), "invalid")
    assert Flag.SEEN not in Flag(0)


async def test_few_databases_stay_open_and_nothing_is_lost(tmp_path: Path) -> None:
    async with disk_store(tmp_path, limit_open=3) as store:
        for round_ in range(3):
            await asyncio.gather(*(store.append(account, "INBOX", MESSAGE) for account in range(1, 9)))
            assert len(store._opener._entries) <= 3, round_
        for account in range(1, 9):
            assert (await store.status(account, "INBOX")).messages == 3
        await store.remove_account(3)
        assert (await store.status(3, "INBOX")).messages == 0
