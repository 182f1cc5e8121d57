"""Two telephones call each other directly, with no server between: what the scenes rely on works by itself."""

from __future__ import annotations

import asyncio
import socket
import sys
from pathlib import Path

from tests.phone import TestPhone
from tests.tones import make_tone, seconds_heard

ADDRESS = "127.0.0.1"
ROOT = Path(__file__).resolve().parents[2]


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((ADDRESS, 0))
        return int(sock.getsockname()[1])


async def test_a_direct_call_carries_tones_and_keys_both_ways(tmp_path: Path) -> None:
    port = free_port()
    async with TestPhone("alice") as alice, TestPhone("bob") as bob:
        await bob.start(f"bob@{ADDRESS}", "", ADDRESS, free_port(), register=False, local_port=port)
        await alice.start(f"alice@{ADDRESS}", "", ADDRESS, port, register=False, codecs=["PCMU"])
        await alice.play(make_tone(tmp_path / "alice.wav", 440.0, seconds=4))
        await bob.play(make_tone(tmp_path / "bob.wav", 700.0, seconds=4))
        await alice.record(tmp_path / "heard-by-alice.wav")
        await bob.record(tmp_path / "heard-by-bob.wav")

        call = await alice.call(f"sip:bob@{ADDRESS}:{port}", headers={"X-Test": "yes"})
        incoming = await bob.wait_incoming()
        assert "X-Test: yes" in (await bob.wait("incoming"))["message"]
        await bob.ring(incoming)
        await alice.wait_state("early", call)
        await bob.answer(incoming)
        await alice.wait_state("confirmed", call)
        await alice.wait_media(call)
        await bob.wait_media(incoming)
        await alice.listen(1.0)
        await bob.listen(1.0)
        await alice.send_dtmf("12#")
        await bob.wait_digits("12#")
        await bob.send_dtmf("5", method="info")
        await alice.wait_digits("5")
        figures = await alice.statistics(call)
        assert figures["codec"] == "PCMU/8000"
        await alice.hangup(call)
        assert (await bob.wait_state("disconnected", incoming))["status"] == 200
        await alice.stop_record()  # bob's recording ends as he is closed
    assert seconds_heard(tmp_path / "heard-by-alice.wav", 700.0) > 0.5
    assert seconds_heard(tmp_path / "heard-by-bob.wav", 440.0) > 0.5


async def test_a_refused_call_tells_its_status() -> None:
    port = free_port()
    async with TestPhone("alice") as alice, TestPhone("bob") as bob:
        await bob.start(f"bob@{ADDRESS}", "", ADDRESS, free_port(), register=False, local_port=port)
        await alice.start(f"alice@{ADDRESS}", "", ADDRESS, port, register=False)
        call = await alice.call(f"sip:bob@{ADDRESS}:{port}")
        await bob.hangup(await bob.wait_incoming(), status=486)
        assert (await alice.wait_state("disconnected", call))["status"] == 486


async def test_the_command_calls_plays_and_records(tmp_path: Path) -> None:
    port = free_port()
    speech = make_tone(tmp_path / "speech.wav", 500.0, seconds=5, rate=44100)
    async with TestPhone("bob") as bob:
        await bob.start(f"bob@{ADDRESS}", "", ADDRESS, free_port(), register=False, local_port=port)
        await bob.record(tmp_path / "heard.wav")
        await bob.play(make_tone(tmp_path / "bob.wav", 700.0, seconds=5))
        options = ["--no-register", "--server", ADDRESS, "--port", str(port), "--duration", "2", "--dtmf", "42"]
        files = ["--play", str(speech), "--record", str(tmp_path / "got.wav")]
        command = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", "from tools.phone_command import app; app()", "call", f"alice@{ADDRESS}"),
            *(f"sip:bob@{ADDRESS}:{port}", *options, *files),
            stdout=asyncio.subprocess.PIPE,
            cwd=ROOT,
        )
        await bob.answer(await bob.wait_incoming())
        await bob.wait_digits("42")
        await bob.wait_state("disconnected")
        told, _ = await asyncio.wait_for(command.communicate(), 10)
        await bob.stop_record()
    assert command.returncode == 0, told
    assert seconds_heard(tmp_path / "heard.wav", 500.0) > 0.5
    assert seconds_heard(tmp_path / "got.wav", 700.0) > 0.5


async def test_the_command_says_why_a_call_failed() -> None:
    command = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", "from tools.phone_command import app; app()", "call", f"alice@{ADDRESS}", "200"),
        *("--no-register", "--server", ADDRESS, "--port", str(free_port()), "--transport", "tcp"),
        stderr=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        cwd=ROOT,
    )
    _, told = await asyncio.wait_for(command.communicate(), 20)
    assert command.returncode == 1
    assert b"tandem phone: " in told
