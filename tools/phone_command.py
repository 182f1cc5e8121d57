"""`tandem phone`: a desk telephone at the command line, that calls, answers, and records prompts.

With a sound card (and PyAudio) one speaks and hears; without, `--play` and `--record` name WAV files. Not part of the
server: all of it is the optional extra `phone`. The telephone itself is `tools.phone`.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import sys
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from base.failures import Failure
from pbx.mediaproxy.wav import convert_prompt
from tools.microphone import Microphone, NoSoundCard
from tools.phone import PhoneError, Telephone

app = typer.Typer(
    help="A desk telephone: call, answer, record prompts. Needs the extra `phone`: pip install 'tandem-pbx\\[phone]'.",
    no_args_is_help=True,
)
_out = Console()

Address = Annotated[str, typer.Argument(help="Your own address, e.g. alice@example.org")]
Password = Annotated[str, typer.Option("--password", "-p", envvar="TANDEM_PHONE_PASSWORD", help="Of that account")]
Server = Annotated[str, typer.Option("--server", help="Host of the server (default: the domain of the address)")]
Port = Annotated[int, typer.Option("--port", help="SIP port of the server")]
Transport = Annotated[str, typer.Option("--transport", help="udp or tcp")]
Play = Annotated[Path | None, typer.Option("--play", exists=True, dir_okay=False, help="WAV file to speak")]
Record = Annotated[Path | None, typer.Option("--record", help="WAV file for what is heard")]
Keys = Annotated[str, typer.Option("--dtmf", help="Keys to press when connected; a comma waits one second")]
Duration = Annotated[float, typer.Option("--duration", help="Hang up after so many seconds (0: when the peer does)")]

Register = Annotated[bool, typer.Option("--register/--no-register", help="Register first")]


def _need_engine() -> None:
    if importlib.util.find_spec("pjsua2") is None:
        _fail("the telephone is not installed; run: pip install 'tandem-pbx[phone]' (Python 3.11 or 3.12 on x86-64)")


def _fail(reason: str) -> None:
    Console(stderr=True).print(f"tandem phone: {reason}", style="red", highlight=False, markup=False)
    raise typer.Exit(1)


async def _connect(
    phone: Telephone, address: str, password: str, server: str, port: int, transport: str, register: bool
) -> None:
    host = server or address.partition("@")[2]
    sound = importlib.util.find_spec("pyaudio") is not None
    bind = "127.0.0.1" if host in ("127.0.0.1", "localhost") else ""
    await phone.start(address, password, host, port, transport=transport, bind=bind, sound=sound, register=register)
    if register:
        _out.print(f"registered as {address} at {host}:{port}", highlight=False)


async def _speak(phone: Telephone, path: Path) -> None:
    """Play any WAV or AU: the telephone itself reads 16-bit WAV only."""
    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        file.write(await asyncio.to_thread(lambda: convert_prompt(path.read_bytes())))
        file.flush()
        await phone.play(file.name)  # it is open by then


async def _talk(phone: Telephone, call: int, play: Path | None, keys: str, duration: float) -> None:
    """From the answer to the end of the call."""
    await phone.wait_media(call)
    _out.print("connected")
    if play is not None:
        await _speak(phone, play)
    for key in keys:
        if key == ",":
            await asyncio.sleep(1.0)
        else:
            await phone.send_dtmf(key, call)
            await asyncio.sleep(0.25)
    with contextlib.suppress(TimeoutError):
        ended = await phone.wait_state("disconnected", call, timeout=duration or 24 * 3600)
        _out.print(f"ended: {ended['status']} {ended['reason']}", highlight=False)
        return
    await phone.hangup(call)
    await phone.wait_state("disconnected", call)
    _out.print("hung up")


def _run(work: Callable[[], Coroutine[None, None, None]]) -> None:
    _need_engine()
    try:
        asyncio.run(work())
    except (PhoneError, Failure, TimeoutError, OSError) as error:
        _fail(str(error))
    except KeyboardInterrupt:
        _out.print("bye")


@app.command()
def call(
    address: Address,
    number: Annotated[str, typer.Argument(help="Number or address to call, e.g. 200 or bob@example.org")],
    password: Password = "",
    server: Server = "",
    port: Port = 5060,
    transport: Transport = "udp",
    play: Play = None,
    record: Record = None,
    dtmf: Keys = "",
    duration: Duration = 0.0,
    register: Register = True,
) -> None:
    """Register, call, and talk until one side hangs up."""

    async def work() -> None:
        domain = address.partition("@")[2]
        async with Telephone() as phone:
            await _connect(phone, address, password, server, port, transport, register)
            if record is not None:
                await phone.record(record.resolve())
            target = number.removeprefix("sip:")
            uri = f"sip:{target}" if "@" in target else f"sip:{target}@{domain}"
            placed = await phone.call(uri)
            _out.print(f"calling {uri}", highlight=False)
            event = await phone.wait("call", timeout=120, where=lambda e: e["state"] in ("confirmed", "disconnected"))
            if event["state"] == "disconnected":
                raise PhoneError(f"{event['status']} {event['reason']}")
            await _talk(phone, placed, play, dtmf, duration)

    _run(work)


@app.command()
def answer(
    address: Address,
    password: Password = "",
    server: Server = "",
    port: Port = 5060,
    transport: Transport = "udp",
    play: Play = None,
    record: Record = None,
    dtmf: Keys = "",
    duration: Duration = 0.0,
    register: Register = True,
) -> None:
    """Register, wait for one call, answer it, and talk until one side hangs up."""

    async def work() -> None:
        async with Telephone() as phone:
            await _connect(phone, address, password, server, port, transport, register)
            if record is not None:
                await phone.record(record.resolve())
            number = await phone.wait_incoming(timeout=24 * 3600)
            event = await phone.wait("incoming")
            _out.print(f"call from {event['remote']}", highlight=False, markup=False)
            await phone.answer(number)
            await _talk(phone, number, play, dtmf, duration)

    _run(work)


@app.command()
def record(
    file: Annotated[Path, typer.Argument(help="WAV file to write, e.g. greeting.wav")],
    seconds: Annotated[float, typer.Option("--duration", help="Stop after so many seconds (0: at Enter)")] = 0.0,
) -> None:
    """Record a prompt with the microphone (8 kHz, mono), then install it with `tandem prompts put`."""
    try:
        with Microphone() as microphone:
            _out.print("speak now; Enter ends it" if not seconds else f"speak now, {seconds:g} seconds")
            length = microphone.record(file, seconds, sys.stdin)
    except (NoSoundCard, OSError) as error:
        _fail(f"{error}; make the file elsewhere, any WAV or AU will do for `tandem prompts put`")
        return
    _out.print(f"{file}: {length:.1f} seconds", highlight=False)


@app.command(name="play")
def play_file(file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="WAV or AU file")]) -> None:
    """Play a sound file on the sound card."""
    try:
        with Microphone() as microphone:
            microphone.play(file)
    except (NoSoundCard, OSError) as error:
        _fail(str(error))
