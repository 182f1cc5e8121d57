"""Delivery: who gets it, what is added, what happens when it is tried twice."""

from __future__ import annotations

from collections.abc import AsyncIterator
from email import message_from_bytes

import pytest

from base.failures import Failure
from mail.store import MailStore
from tests.mail.rooms import ALICE, BOB, DOMAIN, SPACE_DUST, delivery, memory_store


@pytest.fixture
async def store() -> AsyncIterator[MailStore]:
    async with memory_store() as store:
        yield store


async def inbox(store: MailStore, account: int) -> list[bytes]:
    return [await store.octets(account, message) for message in await store.messages(account, "INBOX")]


async def test_the_trace_is_put_on_top(store: MailStore) -> None:
    placed = await delivery(store).submit("bob@x", ["alice"], SPACE_DUST, queue_id="q7")
    assert [(each.account, each.again) for each in placed] == [(ALICE, False)]
    (octets,) = await inbox(store, ALICE.id)
    assert octets.endswith(SPACE_DUST)
    message = message_from_bytes(octets)
    assert message["Return-Path"] == "<bob@x>"
    assert message["Delivered-To"] == ALICE.address
    assert "id q7" in message["Received"]


async def test_one_copy_for_each_account_whatever_its_names(store: MailStore) -> None:
    await delivery(store).submit("", [f"alice@{DOMAIN}", "201", "ALICE@localhost", "all"], SPACE_DUST)
    assert len(await inbox(store, ALICE.id)) == 1
    assert len(await inbox(store, BOB.id)) == 1


async def test_a_second_try_completes_the_rest(store: MailStore) -> None:
    mail = delivery(store)
    await mail.submit("", ["alice"], SPACE_DUST, queue_id="q1")
    placed = await mail.submit("", ["alice", "bob"], SPACE_DUST, queue_id="q1")
    assert [each.again for each in placed] == [True, False]
    assert len(await inbox(store, ALICE.id)) == 1


@pytest.mark.parametrize(
    ("recipient", "code"),
    [
        ("nobody", "not-found"),
        ("600", "not-found"),
        ("loop", "not-found"),
        ("x@elsewhere.example", "denied"),
        ("@", "invalid"),
        ("", "invalid"),
    ],
)
async def test_who_is_refused(store: MailStore, recipient: str, code: str) -> None:
    with pytest.raises(Failure) as failure:
        await delivery(store).submit("", ["alice", recipient], SPACE_DUST)
    assert failure.value.code == code
    assert await inbox(store, ALICE.id) == [], "nobody gets it when one is refused"


async def test_what_is_sent_to_null_is_taken_and_kept_by_nobody(store: MailStore) -> None:
    assert await delivery(store).submit("", ["void"], SPACE_DUST) == ()
    (placed,) = await delivery(store).submit("", ["alice", "void"], SPACE_DUST)
    assert placed.account == ALICE


async def test_no_recipient_is_no_delivery(store: MailStore) -> None:
    with pytest.raises(Failure):
        await delivery(store).submit("", [], SPACE_DUST)


async def test_only_submission_from_inside_marks_voice(store: MailStore) -> None:
    forged = b"Message-Context: voice-message\r\n" + SPACE_DUST
    mail = delivery(store)
    await mail.submit("", ["alice"], forged)
    assert await store.voice_counts(ALICE.id) == (0, 0)
    await mail.submit("", ["alice"], forged, voice=True)
    assert await store.voice_counts(ALICE.id) == (1, 0)


async def test_octets_are_put_in_order(store: MailStore) -> None:
    await delivery(store).submit(
        "a@b>\r\nX-Evil: 1", ["alice"], b"Return-Path: <liar@x>\n folded\nSubject: x\n\nline\nReturn-Path: stays\n"
    )
    (octets,) = await inbox(store, ALICE.id)
    assert octets.count(b"\n") == octets.count(b"\r\n")
    assert b"liar" not in octets
    assert octets.endswith(b"Subject: x\r\n\r\nline\r\nReturn-Path: stays\r\n")
    assert b"\r\nX-Evil" not in octets
