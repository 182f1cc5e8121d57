"""Scenes: nobody answers, a message is left, the lamp is lit, and the owner reads it by mail and by phone."""

from __future__ import annotations

import asyncio
import email
import email.policy
import io
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path

import pytest
import soundfile

from tests.phone import TestPhone
from tests.scenes.site import DOMAIN, Site
from tests.tones import seconds_heard, seconds_of_sound

pytestmark = pytest.mark.scene
Tone = Callable[..., Path]


async def leave_message(alice: TestPhone, number: str = "202", seconds: float = 3.0) -> None:
    """Call, wait out the greeting until the beep, speak, hang up."""
    call = await alice.call(f"sip:{number}@{DOMAIN}")
    await alice.wait_state("confirmed", call, timeout=20)
    await alice.listen(seconds, call)
    await alice.hangup(call)
    await alice.wait_state("disconnected", call)


async def skip_greeting(alice: TestPhone, call: int) -> None:
    """A digit cuts the greeting; the beep follows."""
    await alice.listen(0.5, call)
    await alice.send_dtmf("#", call)


async def messages(site: Site, name: str, password: str) -> list[EmailMessage]:
    def read() -> list[EmailMessage]:
        with site.imap(name, password) as client:
            client.select("INBOX", readonly=True)
            _, (found,) = client.search(None, "ALL")
            fetched = [client.fetch(number.decode(), "(BODY.PEEK[])")[1][0][1] for number in found.split()]
        return [email.message_from_bytes(body, policy=email.policy.default) for body in fetched]  # type: ignore[misc]

    return await asyncio.to_thread(read)


async def wait_messages(site: Site, name: str, password: str, count: int) -> list[EmailMessage]:
    async with asyncio.timeout(10):
        while len(found := await messages(site, name, password)) < count:
            await asyncio.sleep(0.1)
    return found


@pytest.mark.parametrize("why", ["nobody registered", "busy", "declined", "no answer"])
async def test_voicemail_answers_when_bob_does_not(site: Site, tone: Tone, why: str) -> None:
    alice = await site.phone("alice", await site.password("alice"))
    password = await site.password("bob")
    if why == "no answer":
        await site.tandem("setting", "set", "bob", "VoicemailAfter", "2")
    async with alice, TestPhone("bob") as bob:
        if why != "nobody registered":
            await bob.start(f"bob@{DOMAIN}", password, site.host, site.sip_port, bind=site.host)
        await alice.play(tone(440))
        call = await alice.call(f"sip:202@{DOMAIN}")
        if why != "nobody registered":
            ringing = await bob.wait_incoming()
            if why == "no answer":
                await bob.ring(ringing)
            else:
                await bob.hangup(ringing, status=486 if why == "busy" else 603)
            await bob.wait_state("disconnected", ringing)
        await alice.wait_state("confirmed", call)
        await skip_greeting(alice, call)
        await alice.listen(4.0, call)
        await alice.hangup(call)
        (message,) = await wait_messages(site, "bob", password, 1)
    assert message["Message-Context"] == "voice-message"
    assert int(message["Content-Duration"]) >= 2
    text = message.get_body(("plain",))
    assert text is not None
    assert "alice" in text.get_content()
    (sound,) = [part for part in message.walk() if part.get_content_type() == "audio/wav"]
    samples, rate = soundfile.read(io.BytesIO(sound.get_payload(decode=True)))  # type: ignore[arg-type]
    assert rate == 8000
    assert len(samples) > 2 * rate


async def test_the_lamp_follows_the_mailbox_both_ways(site: Site, tone: Tone) -> None:
    password = await site.password("bob")
    alice = await site.phone("alice", await site.password("alice"))
    bob = await site.phone("bob", password, lamp=True)
    async with alice, bob:
        await site.tandem("setting", "set", "bob", "VoicemailAfter", "1")
        await bob.wait_lamp(0)
        await alice.play(tone(440))
        call = await alice.call(f"sip:202@{DOMAIN}")
        await alice.wait_state("confirmed", call)
        await skip_greeting(alice, call)
        await alice.listen(4.0, call)
        await alice.hangup(call)
        await bob.wait_lamp(1)

        def read() -> None:
            with site.imap("bob", password) as client:
                client.select("INBOX")
                client.store("1", "+FLAGS", "\\Seen")

        await asyncio.to_thread(read)
        await bob.wait_lamp(0, 1)


async def test_idle_tells_a_waiting_client(site: Site, tone: Tone) -> None:
    import aioimaplib

    password = await site.password("bob")
    alice = await site.phone("alice", await site.password("alice"))
    client = aioimaplib.IMAP4(site.host, site.imap_port, timeout=10)
    await client.wait_hello_from_server()
    await client.login("bob", password)
    await client.select("INBOX")
    idle = await client.idle_start(timeout=30)
    async with alice:
        await alice.play(tone(440))
        call = await alice.call(f"sip:202@{DOMAIN}")
        await alice.wait_state("confirmed", call)
        await skip_greeting(alice, call)
        await alice.listen(4.0, call)
        await alice.hangup(call)
        pushed = await client.wait_server_push(timeout=10)
        assert any(b"EXISTS" in line for line in pushed)
        client.idle_done()
        await asyncio.wait_for(idle, 5)
        await client.logout()


async def test_heard_by_phone_is_seen_by_mail(site: Site, tone: Tone, tmp_path: Path) -> None:
    password = await site.password("bob")
    await site.tandem("account", "password", "bob", "--pin", "4711")
    alice = await site.phone("alice", await site.password("alice"))
    async with alice:
        await alice.play(tone(440))
        call = await alice.call(f"sip:202@{DOMAIN}")
        await alice.wait_state("confirmed", call)
        await skip_greeting(alice, call)
        await alice.listen(5.0, call)
        await alice.hangup(call)
        await wait_messages(site, "bob", password, 1)
    bob = await site.phone("bob", password, lamp=True)
    async with bob:
        await bob.wait_lamp(1)
        await bob.record(tmp_path / "heard.wav")
        call = await bob.call(f"sip:*98@{DOMAIN}")
        await bob.wait_state("confirmed", call)
        await bob.listen(0.5, call)
        await bob.send_dtmf("4711#", call)
        await bob.wait_lamp(0, 1, timeout=40)
        await bob.hangup(call)
        await bob.stop_record()
    assert seconds_heard(tmp_path / "heard.wav", 440) > 1.5

    def seen() -> bytes:
        with site.imap("bob", password) as client:
            client.select("INBOX", readonly=True)
            return client.search(None, "SEEN")[1][0]

    assert await asyncio.to_thread(seen) == b"1"


@pytest.mark.proof
async def test_the_caller_may_listen_and_record_again(site: Site, tone: Tone, tmp_path: Path) -> None:
    password = await site.password("bob")
    alice = await site.phone("alice", await site.password("alice"))
    async with alice:
        await alice.play(tone(440))
        await alice.record(tmp_path / "alice.wav")
        call = await alice.call(f"sip:202@{DOMAIN}")
        await alice.wait_state("confirmed", call)
        await skip_greeting(alice, call)
        await alice.listen(4.0, call)
        await alice.send_dtmf("#", call)
        await alice.listen(1.0, call)
        await alice.send_dtmf("1", call)
        await alice.listen(4.0, call)
        await alice.send_dtmf("3", call)
        await alice.wait_state("disconnected", call, timeout=30)
        await wait_messages(site, "bob", password, 1)
        await alice.stop_record()
    assert seconds_heard(tmp_path / "alice.wav", 440) > 1.0


@pytest.mark.proof
async def test_a_cancelled_recording_is_not_sent(site: Site, tone: Tone) -> None:
    password = await site.password("bob")
    alice = await site.phone("alice", await site.password("alice"))
    async with alice:
        await alice.play(tone(440))
        call = await alice.call(f"sip:202@{DOMAIN}")
        await alice.wait_state("confirmed", call)
        await skip_greeting(alice, call)
        await alice.listen(4.0, call)
        await alice.send_dtmf("#", call)
        await alice.listen(1.0, call)
        await alice.send_dtmf("*", call)
        await alice.wait_state("disconnected", call, timeout=30)
        assert await messages(site, "bob", password) == []


async def test_the_greeting_is_spoken(site: Site, tmp_path: Path) -> None:
    alice = await site.phone("alice", await site.password("alice"))
    async with alice:
        await alice.record(tmp_path / "greeting.wav")
        await leave_message(alice, seconds=3.0)
        await alice.stop_record()
    assert seconds_of_sound(tmp_path / "greeting.wav") > 1.0


async def test_killed_in_the_middle_of_a_recording_the_message_survives(site: Site, tone: Tone) -> None:
    password = await site.password("bob")
    alice = await site.phone("alice", await site.password("alice"))
    async with alice:
        await alice.play(tone(440))
        call = await alice.call(f"sip:202@{DOMAIN}")
        await alice.wait_state("confirmed", call)
        await skip_greeting(alice, call)
        await alice.listen(6.0, call)
        await site.kill()
        await alice.kill()
    await site.start()
    (message,) = await wait_messages(site, "bob", password, 1)
    assert int(message["Content-Duration"]) >= 2


async def test_a_dead_media_worker_ends_its_calls_and_the_next_one_works(site: Site, tone: Tone) -> None:
    alice = await site.phone("alice", await site.password("alice"))
    async with alice:
        call = await alice.call(f"sip:600@{DOMAIN}")
        await alice.wait_state("confirmed", call)
        await alice.listen(0.5, call)
        site.kill_media_worker()
        await alice.wait_state("disconnected", call)
        again = await alice.call(f"sip:600@{DOMAIN}")
        await alice.wait_state("confirmed", again)
        await alice.listen(0.5, again)
        await alice.hangup(again)
        await alice.wait_state("disconnected", again)
