"""The service application: who gets in, and the mailbox by phone, seen from IMAP's side as well."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from mail.voice import build_voice_message
from tests.apps.stage import DOMAIN, EPOCH, Stage, perform
from tests.apps.stage_leg import tone_file


async def leave(stage: Stage, caller: str = "sip:alice@tandem.test", seconds: float = 3) -> None:
    """A voice message for bob, an hour ago."""
    message = build_voice_message(
        to=f"bob@{DOMAIN}",
        caller_name="",
        caller_uri=caller,
        started=datetime.fromtimestamp(EPOCH - 3600, UTC),
        seconds=seconds,
        wav=tone_file(seconds),
        domain=DOMAIN,
    )
    await stage.delivery.submit("", [f"bob@{DOMAIN}"], message, voice=True)


def test_hearing_marks_seen() -> None:
    async def play(stage: Stage) -> None:
        await leave(stage)
        assert await stage.lamp("bob") == (1, 0)
        bob = stage.call("service", "bob", "bob", called="*98", parameters=["98"])
        await bob.hears("enterpin")
        bob.press("2022#")
        await bob.hears("messagemenu")
        await asyncio.sleep(1)
        assert await stage.lamp("bob") == (0, 1)
        await bob.ended()
        assert bob.transcript == "\n".join(
            [
                "= answered",
                "< enterpin",
                *(f"> {digit}" for digit in "2022#"),
                *(f"< {name}" for name in ("youhave", "1", "newmessage")),
                *(f"< {name}" for name in ("messagenumber", "1", "fromextension", "2", "0", "1", "received")),
                *(f"< {name}" for name in ("today", "at", "10", "13", "pm")),
                "< <3.0 s>",
                "< messagemenu",
                "< nomoremessages",
                "< goodbye",
                "= over",
            ]
        )
        [(flags, _)] = await stage.inbox("bob")
        assert "\\Seen" in flags

    perform(play)


def test_deleting_moves_to_trash_on_leaving() -> None:
    async def play(stage: Stage) -> None:
        for number in range(3):
            await leave(stage, f"sip:+1555000{number}@far.example", 2 + number)
        bob = stage.call("service", "bob", "bob", parameters=["97"])
        await bob.hears("enterpin")
        bob.press("2022#")
        await bob.hears("newmessages")
        bob.press("7")
        await bob.hears("messagedeleted")
        bob.press("9")
        await bob.hears("messagesaved")
        await bob.hears("<4.0 s>")
        bob.press("4")
        await bob.hears("<3.0 s>")
        bob.press("5")
        await bob.hears("<3.0 s>")
        bob.press("*")
        await bob.hears("messagehelp")
        bob.press("8")
        await bob.hears("invalidentry")
        bob.press("4")
        await bob.hears("messagenumber")
        bob.press("4")
        await bob.hears("firstmessage")
        assert await stage.lamp("bob") == (1, 1)
        bob.hang_up()
        await asyncio.sleep(1)
        assert len(await stage.inbox("bob")) == 2
        assert len(await stage.inbox("bob", "Trash")) == 1

    perform(play)


def test_messages_without_readable_sound_and_from_nobody() -> None:
    async def play(stage: Stage) -> None:
        await stage.delivery.submit("", [f"bob@{DOMAIN}"], b"From: x\r\n\r\nno sound\r\n", voice=True)
        bob = stage.call("service", "bob", "bob", parameters=["98"])
        await bob.hears("enterpin")
        bob.press("2022#")
        await bob.hears("unknowncaller")
        await bob.hears("messageunreadable")
        bob.press("#")
        await bob.ended()

    perform(play)


def test_three_wrong_pins_end_the_call() -> None:
    async def play(stage: Stage) -> None:
        bob = stage.call("service", "bob", "bob")
        for _ in range(3):
            await bob.hears("enterpin")
            bob.press("9999#")
            await bob.hears("wrongpin")
        await bob.hears("goodbye")
        await bob.ended()
        assert "< nomessages" not in bob.heard

    perform(play)


def test_pins_cannot_be_guessed_by_many_calls() -> None:
    async def play(stage: Stage) -> None:
        for _ in range(3):
            guesser = stage.call("service", "bob", "alice")
            for _ in range(3):
                await guesser.hears("enterpin")
                guesser.press("1234#")
            await guesser.ended()
        bob = stage.call("service", "bob", "bob")
        await bob.hears("enterpin")
        bob.press("2022#")
        await bob.ended()
        assert "< nomessages" not in bob.heard
        await asyncio.sleep(901)
        bob = stage.call("service", "bob", "bob")
        await bob.hears("enterpin")
        bob.press("2022#")
        await bob.hears("nomessages")
        bob.hang_up()

    perform(play)


def test_without_a_pin_only_ones_own_phone_gets_in() -> None:
    async def play(stage: Stage) -> None:
        await stage.directory.set_pin(stage.account("bob").id, None)
        bob = stage.call("service", "bob", "bob")
        await bob.hears("nomessages")
        bob.hang_up()
        other = stage.call("service", "bob", "alice")
        await other.hears("goodbye")
        await other.ended()
        assert other.transcript == "= answered\n< goodbye\n= over"

    perform(play)


def test_the_greeting_is_recorded_heard_and_removed() -> None:
    async def play(stage: Stage) -> None:
        bob, files = stage.call("service", "bob", "bob"), stage.services.files
        await bob.hears("enterpin")
        bob.press("2022#")
        await bob.hears("servicemenu")
        bob.press("2")
        await bob.hears("greetingmenu")
        bob.press("2")
        await bob.told("= records")
        await asyncio.sleep(4)
        bob.press("1")
        await bob.hears("greetingsaved")
        assert await files.read(stage.account("bob").id, "mailprompt.wav") == tone_file(4)
        await bob.hears("greetingmenu")
        bob.press("1")
        await bob.hears("<4.0 s>")
        await bob.hears("greetingmenu")
        bob.press("3")
        await bob.hears("greetingstandard")
        assert await files.read(stage.account("bob").id, "mailprompt.wav") is None
        await bob.hears("greetingmenu")
        bob.press("#")
        await bob.hears("servicemenu")
        bob.hang_up()
        await asyncio.sleep(1)
        assert await stage.inbox("bob") == [], "a greeting is no message"
        assert list((stage.folder / "spool").iterdir()) == []

    perform(play)


def test_a_code_that_is_not_there_yet() -> None:
    async def play(stage: Stage) -> None:
        bob = stage.call("service", "bob", "bob", parameters=["66"])
        await bob.hears("enterpin")
        bob.press("2022#")
        await bob.hears("notavailable")
        await bob.ended()

    perform(play)
