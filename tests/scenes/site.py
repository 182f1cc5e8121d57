"""A whole server in a process of its own, on a loopback address of its own, as a customer would run it."""

from __future__ import annotations

import asyncio
import contextlib
import imaplib
import itertools
import json
import os
import signal
import sys
import threading
import zlib
from pathlib import Path
from types import TracebackType
from typing import Any

from typer.testing import CliRunner

from server.command import app
from tests.phone import TestPhone
from tests.scenes.forked import Forked

_ROOT = Path(__file__).resolve().parents[2]
_numbers = itertools.count(1)

DOMAIN = "tandem.test"


_one_at_a_time = threading.Lock()  # a command writes to the process's own output


def _tandem(arguments: tuple[str, ...], data: Path) -> tuple[int, str]:
    """The command as it is, but for a process of its own, which takes it a second to load."""
    environment = {"TANDEM_DATA": str(data), "NO_COLOR": "1", "COLUMNS": "160"}
    with _one_at_a_time:
        result = CliRunner().invoke(app, arguments, prog_name="tandem", env=environment)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


def own_address() -> str:
    """A loopback address that no other test of this run uses: scenes run side by side."""
    worker = zlib.crc32(f"{os.environ.get('PYTEST_XDIST_WORKER', 'main')}-{os.getpid()}".encode())
    return f"127.{1 + worker % 250}.{1 + (worker // 250) % 250}.{next(_numbers) % 250 + 1}"


NO_PROVISIONING = """
[provisioning]
http = "off"
https = "off"
"""


class Site:
    """One `tandem serve`. `settings` are lines of its configuration file."""

    def __init__(self, data: Path, settings: str = "", domain: str = DOMAIN) -> None:
        self.data = data
        self.domain = domain
        self.host = own_address()
        # Not the usual ports: somebody may be running a Tandem on all addresses of this machine.
        self.sip_port, self.imap_port, self.imaps_port = 15060, 11143, 11993
        self.before: tuple[str, ...] = ()  # put before the command, such as `ip netns exec NAME`
        self._settings = settings
        self._process: asyncio.subprocess.Process | Forked | None = None
        self._log = data.parent / f"{data.name}.log"

    async def __aenter__(self) -> Site:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        status = await self.stop()
        if error is not None:
            print(f"--- log of the server\n{self.log()[-12000:]}")
            return
        assert status == 0, f"the server ended with {status}\n{self.log()[-4000:]}"
        assert "Traceback" not in self.log(), self.log()[-6000:]

    async def start(self) -> None:
        """Start, and wait until it says that it is ready."""
        configuration = self.data.parent / f"{self.data.name}.toml"
        configuration.write_text(self._configuration())
        starts = self.log().count("Ctrl-C stops.")
        arguments = ["serve", "--data", str(self.data), "--domain", self.domain, "--config", str(configuration)]
        self._process = await self._spawned(arguments) if self.before else Forked(arguments, self._log)
        async with asyncio.timeout(30):
            while self.log().count("Ctrl-C stops.") <= starts:
                if self._process.returncode is not None:
                    raise AssertionError(f"the server did not start\n{self.log()}")
                await asyncio.sleep(0.05)

    async def _spawned(self, arguments: list[str]) -> asyncio.subprocess.Process:
        """On another machine."""
        with self._log.open("ab") as log:
            return await asyncio.create_subprocess_exec(
                *self.before, sys.executable, "-m", "server", *arguments, stdout=log, stderr=log, cwd=_ROOT
            )

    async def stop(self) -> int:
        """Ctrl-C, as a person would; returns the exit status."""
        if self._process is None:
            return 0
        process, self._process = self._process, None
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGINT)
        try:
            return await asyncio.wait_for(process.wait(), 20)
        except TimeoutError:
            process.kill()
            await process.wait()
            raise AssertionError(f"the server did not stop\n{self.log()[-4000:]}") from None

    async def kill(self) -> None:
        """kill -9."""
        assert self._process is not None
        self._process.kill()
        await self._process.wait()
        self._process = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def log(self) -> str:
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    async def tandem(self, *arguments: str, expect: int = 0) -> str:
        """Run the `tandem` command against this site; returns what it printed."""
        status, text = await asyncio.to_thread(_tandem, arguments, self.data)
        assert status == expect, f"tandem {' '.join(arguments)} ended with {status}:\n{text}"
        return text

    async def listing(self, *arguments: str) -> Any:
        """A listing as JSON."""
        return json.loads(await self.tandem(*arguments, "--json"))

    async def add(self, name: str, extension: str, password: str = "") -> str:
        """Make an account; returns its password."""
        password = password or f"{name}-secret-9"
        await self.tandem("account", "add", name, "--password", password, "--extension", extension)
        return password

    async def password(self, name: str) -> str:
        """Give a demo account a password that we know."""
        password = f"{name}-secret-9"
        await self.tandem("account", "password", name, "--password", password)
        return password

    async def calls(self, count: int = 1) -> Any:
        """The call records, once there are so many: they are written behind."""
        async with asyncio.timeout(10):
            while len(records := await self.listing("calls")) < count:
                await asyncio.sleep(0.1)
        return records

    def kill_media_worker(self) -> None:
        """kill -9 the process that holds the audio."""
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            with contextlib.suppress(OSError):
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                if parent == self.pid and b"mediaproxy.worker" in (entry / "cmdline").read_bytes():
                    os.kill(int(entry.name), signal.SIGKILL)
                    return
        raise AssertionError("no media worker found")

    async def phone(self, name: str, password: str, **settings: object) -> TestPhone:
        """A telephone registered here."""
        phone = TestPhone(name)
        await phone.start(f"{name}@{self.domain}", password, self.host, self.sip_port, bind=self.host, **settings)
        return phone

    def imap(self, name: str, password: str) -> imaplib.IMAP4:
        client = imaplib.IMAP4(self.host, self.imap_port, timeout=10)
        client.login(name, password)
        return client

    def _configuration(self) -> str:
        return f"""
[sip]
listen = "{self.host}:{self.sip_port}"
[media]
address = "{self.host}"
[imap]
address = "{self.host}"
port = {self.imap_port}
tls_port = {self.imaps_port}
{"" if "[provisioning]" in self._settings else NO_PROVISIONING}
{self._settings}
"""
