"""Voicemail as plays: what the caller hears and does, and what then lies in bob's INBOX."""

from __future__ import annotations

import asyncio
from email import message_from_bytes
from email.policy import default

from tests.apps.stage import Stage, perform
from tests.apps.stage_leg import tone_file


def test_hanging_up_sends() -> None:
    async def play(stage: Stage) -> None:
        caller = stage.call("voicemail", "bob", "alice")
        await caller.hears("recordingbeep")
        await caller.told("= records")
        await asyncio.sleep(7)
        caller.hang_up()
        await asyncio.sleep(1)
        assert caller.transcript == "\n".join(
            ["= answered", "< mailgreeting", "< recordingbeep", "= records", "> hangs up", "= recorded 7.0 s, stopped"]
        )
        [(flags, octets)] = await stage.inbox("bob")
        assert "\\Seen" not in flags
        message = message_from_bytes(octets, policy=default)
        assert message["Message-Context"] == "voice-message"
        assert message["Content-Duration"] == "7"
        audio = next(part for part in message.walk() if part.get_content_type() == "audio/wav")
        assert audio.get_payload(decode=True) == tone_file(7)
        assert await stage.lamp("bob") == (1, 0)
        assert list((stage.folder / "spool").iterdir()) == []

    perform(play)


def test_the_menu_plays_records_again_and_sends() -> None:
    async def play(stage: Stage) -> None:
        caller = stage.call("voicemail", "bob")
        await caller.told("= records")
        await asyncio.sleep(3)
        caller.press("5")
        await caller.hears("voicemailmenu")
        caller.press("1")
        await caller.hears("<3.0 s>")
        await caller.hears("voicemailmenu")
        caller.press("2")
        await caller.told("= records")
        await asyncio.sleep(4)
        caller.press("#")
        await caller.hears("voicemailmenu")
        caller.press("3")
        await caller.hears("messagesent")
        await caller.hears("goodbye")
        await caller.ended()
        [(_, octets)] = await stage.inbox("bob")
        assert b"Content-Duration: 4" in octets

    perform(play)


def test_a_star_cancels_and_two_open_the_service() -> None:
    async def play(stage: Stage) -> None:
        caller = stage.call("voicemail", "bob")
        await caller.told("= records")
        await asyncio.sleep(3)
        caller.press("1")
        await caller.hears("voicemailmenu")
        caller.press("*")
        await caller.hears("messagecancelled")
        await caller.ended()
        assert await stage.inbox("bob") == []
        assert list((stage.folder / "spool").iterdir()) == []

        owner = stage.call("voicemail", "bob")
        await owner.hears("mailgreeting")
        owner.press("**")
        await owner.hears("enterpin")
        owner.press("2022#")
        await owner.hears("nomessages")
        await owner.hears("servicemenu")
        owner.press("#")
        await owner.hears("goodbye")
        await owner.ended()

    perform(play)


def test_too_short_is_said_and_not_sent() -> None:
    async def play(stage: Stage) -> None:
        caller = stage.call("voicemail", "bob")
        await caller.told("= records")
        await asyncio.sleep(0.5)
        caller.press("#")
        await caller.hears("messagetooshort")
        await caller.told("= records")
        await asyncio.sleep(1)
        caller.hang_up()
        await asyncio.sleep(1)
        assert await stage.inbox("bob") == []

    perform(play)


def test_silence_and_the_limit_end_a_recording() -> None:
    async def play(stage: Stage) -> None:
        bob = stage.account("bob")
        await stage.directory.set_setting(bob.id, "VoicemailLimit", 20)
        caller = stage.call("voicemail", "bob")
        await caller.told("= records")
        await caller.hears("limitreached")
        await caller.hears("voicemailmenu")
        await caller.hears("messagesent", 200)
        silent = stage.call("voicemail", "bob")
        await silent.told("= records")
        await asyncio.sleep(10)
        silent.falls_silent()
        await silent.hears("voicemailmenu")
        silent.hang_up()
        await asyncio.sleep(1)
        assert len(await stage.inbox("bob")) == 2

    perform(play)


def test_the_owners_greeting_is_played() -> None:
    async def play(stage: Stage) -> None:
        await stage.services.files.write(stage.account("bob").id, "mailprompt.wav", tone_file(2.5))
        caller = stage.call("voicemail", "bob")
        await caller.hears("<2.5 s>")
        caller.press("1")
        await caller.hears("recordingbeep")
        assert "< mailgreeting" not in caller.heard
        caller.hang_up()

    perform(play)


def test_a_full_disk_is_told_and_leaves_nothing() -> None:
    async def play(stage: Stage) -> None:
        caller = stage.call("voicemail", "bob")
        caller.full_disk = True
        await caller.told("= records")
        await caller.hears("failure")
        await caller.ended()
        assert await stage.inbox("bob") == []
        assert list((stage.folder / "spool").iterdir()) == []

    perform(play)
