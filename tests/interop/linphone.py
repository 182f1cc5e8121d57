"""Linphone's console program as it comes from the distribution, driven by what one would type into it.

What happens is read from its log, which names each state of account and call: `RegistrationOk`, `CallConnected` …
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
from pathlib import Path
from types import TracebackType

from tests.interop.news import Event, News
from tests.interop.site import Everywhere
from tests.scenes.site import DOMAIN

PRESENT = shutil.which("linphonec") is not None
_CONFIGURATION = """
[sip]
sip_port=-1
sip_tcp_port=-1
sip_tls_port=-1
use_ipv6=0
media_encryption={encryption}
media_encryption_mandatory={mandatory}
default_proxy=0
[rtp]
audio_rtp_port=20000-30000
[proxy_0]
reg_proxy={proxy}
reg_route={proxy};lr
reg_identity=sip:{name}@{domain}
reg_expires=600
reg_sendregister=1
[auth_info_0]
username={name}
passwd={password}
realm={domain}
"""
_STATE = re.compile(r"moving from state \[?\w+\]? to \[?Linphone(\w+)\]?")


class Linphone:
    """One telephone with one account."""

    def __init__(self, name: str, folder: Path, speech: Path) -> None:
        """`folder` is its own and new; `speech` a WAV that it speaks in calls."""
        self.news = News(name)
        self.heard = folder / "heard.wav"
        self._name = name
        self._folder = folder
        self._speech = speech
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Linphone:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        await self.close()
        if error is not None:
            print(f"--- {self._name}", *self._log().splitlines()[-60:], sep="\n")

    async def start(self, site: Everywhere, password: str, *, transport: str = "udp", encryption: str = "none") -> None:
        """Start, and register. `encryption`: `none`, `srtp`, `dtls` (and nothing else)."""
        (self._folder / ".local/share/linphone").mkdir(parents=True)
        configuration = self._folder / "configuration"
        proxy = f"sip:{site.host}:{site.sip_port};transport={transport}"
        settings = {"name": self._name, "domain": DOMAIN, "password": password, "proxy": proxy}
        configuration.write_text(
            _CONFIGURATION.format(encryption=encryption, mandatory=int(encryption == "dtls"), **settings)
        )
        self._process = await asyncio.create_subprocess_exec(
            "linphonec", "-c", str(configuration), "-d", "5", "-l", str(self._folder / "log"),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
            env={**os.environ, "HOME": str(self._folder)},
        )  # fmt: skip
        self._reader = asyncio.create_task(self._read())
        await self.type("soundcard use files")
        await self.type(f"play {self._speech}")
        await self.type(f"record {self.heard}")
        registered = await self.news.wait("RegistrationOk", "RegistrationFailed")
        assert registered["type"] == "RegistrationOk"

    def _log(self) -> str:
        path = self._folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    async def _read(self) -> None:
        told = 0
        while True:
            states = _STATE.findall(self._log())
            for state in states[told:]:
                self.news.tell({"type": state})
            told = len(states)
            await asyncio.sleep(0.05)

    async def type(self, line: str) -> None:
        """One line into its console; digits are keys of the telephone."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")
        await self._process.stdin.drain()

    async def call(self, number: str) -> None:
        await self.type(f"call sip:{number}@{DOMAIN}")

    async def answer(self) -> None:
        await self.news.wait("CallIncomingReceived")
        await self.type("answer")

    async def connected(self, *, since: int = 0) -> Event:
        return await self.news.wait("CallStreamsRunning", since=since)

    async def hang_up(self) -> None:
        await self.type("terminate")

    async def close(self) -> None:
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            assert process.stdin is not None
            with contextlib.suppress(ConnectionError):
                process.stdin.write(b"terminate all\nquit\n")
                await process.stdin.drain()
            try:
                await asyncio.wait_for(process.wait(), 10)
            except TimeoutError:
                process.kill()
                await process.wait()
        if self._reader is not None:
            self._reader.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reader
