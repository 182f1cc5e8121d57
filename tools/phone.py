"""A telephone to be driven from asyncio: register, call, answer, press keys, play and record WAV files.

The engine (pjsua2) runs in a child process, see `tools.phone_engine`; this side imports nothing of it. Not a part of
the server. Used by `tandem phone` and by the scenes of the tests.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parents[1]
Event = dict[str, Any]  # the JSON object of an event: "event", "time" and fields


class PhoneError(Exception):
    """The telephone refused a command, or its process is gone."""


class Telephone:
    """One telephone with one line. Every wait is bounded; `events` keeps all that happened, in order."""

    def __init__(self, name: str = "phone", *, timeout: float = 10.0, netns: str = "") -> None:
        """`netns`: the network namespace that it stands in (Linux, by `ip netns exec`)."""
        self.name = name
        self._before = ("ip", "netns", "exec", netns) if netns else ()
        self.events: list[Event] = []
        self._timeout = timeout
        self._taken: set[int] = set()
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[Event]] = {}
        self._news = asyncio.Condition()
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None

    # --- life

    async def start(
        self, address: str, password: str, server: str, port: int, *, register: bool = True, **settings: object
    ) -> None:
        """Start the process, and register unless told not to (then waits for the 200).

        `settings`: transport "udp"|"tcp"|"tls", bind (own address), user (login, default: local part), expires, lamp
        (subscribe to message-summary), codecs (list, best first), ptime, log (file for the SIP trace), sound, agent,
        naive (never mend its own addresses behind a router, nor keep the way open), srtp ("optional" or "required",
        with `:SUITE,SUITE` behind it only those), reliable ("optional" or "required": 100rel).
        """
        await self._spawn()
        await self.command(
            "start", address=address, password=password, server=server, port=port, register=register, **settings
        )
        if register:
            event = await self.wait("registration")
            if event["status"] != 200:
                raise PhoneError(f"{self.name}: registration answered {event['status']} {event['reason']}")

    async def close(self, *, unregister: bool = True) -> None:
        """Hang up, unregister, close recordings, end the process."""
        process, self._process = self._process, None
        if process is None:
            return
        try:
            if process.returncode is None:
                with contextlib.suppress(PhoneError, TimeoutError):
                    await self._command(process, "quit", 3.0, unregister=unregister)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(process.wait(), 3.0)
        finally:
            await self._reap(process)

    async def kill(self) -> None:
        """Vanish without a word, as when the cable is pulled."""
        process, self._process = self._process, None
        if process is not None:
            await self._reap(process)

    async def __aenter__(self) -> Telephone:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    # --- what one does with a telephone

    async def register(self) -> Event:
        """Register (again); returns the registration event, whatever its status."""
        return await self._after("registration", "register")

    async def unregister(self) -> Event:
        return await self._after("registration", "unregister")

    async def call(self, uri: str, *, headers: Mapping[str, str] | None = None) -> int:
        """Place a call to `uri`, e.g. `sip:202@example.org`; returns the number of the call, does not wait for it."""
        return int((await self.command("call", uri=uri, headers=dict(headers or {})))["call"])

    async def wait_incoming(self, timeout: float | None = None) -> int:
        """The number of the next call that comes in (each is returned once)."""
        event = await self.wait("incoming", timeout=timeout, where=lambda e: e["call"] not in self._taken)
        self._taken.add(event["call"])
        return int(event["call"])

    async def ring(self, call: int = 0, status: int = 180) -> None:
        await self.command("ring", call=call, status=status)

    async def answer(self, call: int = 0, status: int = 200) -> None:
        await self.command("answer", call=call, status=status)

    async def hangup(self, call: int = 0, status: int = 0) -> None:
        """End the call: CANCEL, BYE, or refuse it with `status` (486, 603...)."""
        await self.command("hangup", call=call, status=status)

    async def send_dtmf(self, digits: str, call: int = 0, *, method: str = "rfc4733", milliseconds: int = 120) -> None:
        """Press keys; `method` is `rfc4733` or `info`. Returns at once, the digits go out one after the other."""
        await self.command("dtmf", digits=digits, call=call, method=method, milliseconds=milliseconds)

    async def play(self, path: Path | str, *, loop: bool = False) -> None:
        """Speak a 16-bit PCM WAV file into all calls of this telephone."""
        await self.command("play", path=str(path), loop=loop)

    async def stop_play(self) -> None:
        await self.command("stop_play")

    async def record(self, path: Path | str) -> None:
        """Record what is heard, until `stop_record` or `close`."""
        await self.command("record", path=str(path))

    async def stop_record(self) -> None:
        await self.command("stop_record")

    async def hold(self, call: int = 0) -> None:
        await self.command("hold", call=call)

    async def resume(self, call: int = 0) -> None:
        await self.command("resume", call=call)

    async def transfer(self, uri: str, call: int = 0) -> None:
        """Blind transfer (REFER)."""
        await self.command("transfer", uri=uri, call=call)

    async def attended_transfer(self, call: int, other: int) -> None:
        """Join the peers of two of our calls (REFER with Replaces)."""
        await self.command("attended", call=call, other=other)

    async def statistics(self, call: int = 0) -> Event:
        """sent, received, lost (packets), codec (`PCMU/8000`), remote (address of the peer's RTP)."""
        return await self.command("statistics", call=call)

    async def watch(self, uri: str) -> None:
        """Subscribe to somebody's presence; events `presence`: online, text, note."""
        await self.command("watch", uri=uri)

    async def message(self, uri: str, text: str, kind: str = "text/plain") -> Event:
        """Send an instant message; returns the event with its final `status`."""
        since = len(self.events)
        await self.command("message", uri=uri, text=text, kind=kind)
        return await self.wait("message_sent", since=since)

    async def appear(self, *, online: bool = True, note: str = "", activity: str = "") -> None:
        """Publish one's own presence; `activity` is `away`, `busy` or empty."""
        await self.command("appear", online=online, note=note, activity=activity)

    # --- waiting

    async def wait_state(self, state: str, call: int = 0, timeout: float | None = None) -> Event:
        """Wait until a call is, or has been, in `state`: calling, early, connecting, confirmed, disconnected.
        call 0: any call. Returns the event, with `status` and `reason`."""
        return await self.wait("call", timeout=timeout, where=lambda e: e["state"] == state and call in (0, e["call"]))

    async def wait_media(self, call: int = 0, timeout: float | None = None) -> Event:
        """Wait until audio of the call is on."""
        return await self.wait("media", timeout=timeout, where=lambda e: e["active"] and call in (0, e["call"]))

    async def wait_lamp(self, new: int, old: int | None = None, timeout: float | None = None) -> Event:
        """Wait until the last message-waiting NOTIFY says so many new (and old) messages."""

        def lit(_: Event) -> bool:
            last = self.lamp
            return last is not None and last["new"] == new and old in (None, last["old"])

        return await self.wait("lamp", timeout=timeout, where=lit)

    async def wait_digits(self, digits: str, timeout: float | None = None) -> None:
        """Wait until exactly these digits have come in, one event a press."""
        await self.wait("digit", timeout=timeout, where=lambda _: self.digits == digits)

    async def wait(
        self,
        event: str,
        *,
        timeout: float | None = None,
        where: Callable[[Event], bool] = lambda _: True,
        since: int = 0,
    ) -> Event:
        """The first event of that name for which `where` holds, from `events[since]` on. Raises TimeoutError."""
        async with self._news:
            position = since
            try:
                async with asyncio.timeout(timeout or self._timeout):
                    while True:
                        for item in self.events[position:]:
                            if item["event"] == event and where(item):
                                return item
                        position = max(since, len(self.events))
                        if self.gone:
                            raise PhoneError(f"{self.name}: the telephone's process has ended")
                        await self._news.wait()
            except TimeoutError:
                seen = [{k: v for k, v in e.items() if k != "message"} for e in self.events[-8:]]
                raise TimeoutError(f"{self.name}: no {event} as wanted; last events: {seen}") from None

    async def listen(self, seconds: float, call: int = 0) -> None:
        """Wait until so much more audio (in packets of 20 ms) has come in, whatever it is. Raises TimeoutError."""
        goal = (await self.statistics(call))["received"] + round(seconds * 50)
        async with asyncio.timeout(seconds + self._timeout):
            while (await self.statistics(call))["received"] < goal:
                await asyncio.sleep(0.05)

    @property
    def lamp(self) -> Event | None:
        """The last message-waiting notification: waiting, new, old."""
        return next((e for e in reversed(self.events) if e["event"] == "lamp"), None)

    @property
    def lamps(self) -> list[Event]:
        return [e for e in self.events if e["event"] == "lamp"]

    @property
    def digits(self) -> str:
        """All digits that came in."""
        return "".join(e["digit"] for e in self.events if e["event"] == "digit")

    @property
    def gone(self) -> bool:
        return self._process is None or self._process.returncode is not None

    # --- inside

    async def command(self, name: str, **fields: object) -> Event:
        """Run one command of the engine; raises PhoneError when it refuses."""
        if self._process is None:
            raise PhoneError(f"{self.name}: not started")
        return await self._command(self._process, name, self._timeout, **fields)

    async def _command(self, process: asyncio.subprocess.Process, name: str, timeout: float, **fields: object) -> Event:
        number = next(self._numbers)
        future: asyncio.Future[Event] = asyncio.get_running_loop().create_future()
        self._answers[number] = future
        assert process.stdin is not None
        process.stdin.write(json.dumps({"id": number, "do": name, **fields}).encode() + b"\n")
        try:
            answer = await asyncio.wait_for(future, timeout)
        finally:
            self._answers.pop(number, None)
        if "error" in answer:
            raise PhoneError(f"{self.name}: {name}: {answer['error']}")
        result: Event = answer["result"]
        return result

    async def _after(self, event: str, command: str) -> Event:
        since = len(self.events)
        await self.command(command)
        return await self.wait(event, since=since)

    async def _spawn(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            *self._before,
            sys.executable,
            "-m",
            "tools.phone_engine",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            cwd=_ROOT,
            limit=1 << 20,
        )
        self._reader = asyncio.create_task(self._read(self._process))
        await self.wait("ready")

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            item = json.loads(line)
            if "id" in item:
                future = self._answers.pop(item["id"], None)
                if future is not None and not future.done():
                    future.set_result(item)
            else:
                async with self._news:
                    self.events.append(item)
                    self._news.notify_all()
        for future in self._answers.values():
            if not future.done():
                future.set_exception(PhoneError(f"{self.name}: the telephone's process has ended"))
        await process.wait()
        async with self._news:
            self._news.notify_all()

    async def _reap(self, process: asyncio.subprocess.Process) -> None:
        if process.returncode is None:
            process.kill()
        await process.wait()
        if process.stdin is not None:
            process.stdin.close()
        if self._reader is not None:
            await self._reader
            self._reader = None
