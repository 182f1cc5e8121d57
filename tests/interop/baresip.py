"""baresip as it comes from the distribution, driven by its module ctrl_tcp (JSON in netstrings).

It speaks a WAV file, and writes down what it hears (module sndfile).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import shutil
from pathlib import Path
from types import TracebackType

from tests.interop.news import Event, News
from tests.interop.site import TLS_PORT, Everywhere
from tests.scenes.site import DOMAIN, own_address
from tests.tones import seconds_heard

PRESENT = shutil.which("baresip") is not None
_CONTROL_PORT = 14444
_MODULES = Path("/usr/lib/baresip/modules")
_CONFIGURATION = """
poll_method epoll
net_interface {address}
net_prefer_ipv6 {six}
sip_trans_def udp
sip_verify_server no
audio_source aufile,{speech}
audio_player aubridge,nowhere
audio_alert aubridge,alert
ausrc_srate 8000
auplay_srate 8000
ausrc_channels 1
auplay_channels 1
ausrc_format s16
auplay_format s16
audio_buffer 20-160
snd_path {folder}
module_path {modules}
module_tmp uuid.so
module_app account.so
module_app menu.so
module_app mwi.so
module_app ctrl_tcp.so
ctrl_tcp_listen {control}:{port}
"""


class Baresip:
    """One telephone with one account."""

    def __init__(self, name: str, folder: Path, speech: Path) -> None:
        """`folder` is its own and new; `speech` a WAV at 8 kHz that it speaks in calls."""
        self.news = News(name)
        self._name = name
        self._folder = folder
        self._speech = speech
        self._control = own_address()
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def __aenter__(self) -> Baresip:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        await self.close()
        if error is not None:
            print(f"--- {self._name}\n{self.log()[-6000:]}")

    def log(self) -> str:
        path = self._folder / "log"
        return path.read_text(errors="replace").replace("\r", "\n") if path.exists() else ""

    async def start(
        self,
        site: Everywhere,
        password: str,
        *,
        transport: str = "udp",
        six: bool = False,
        codecs: tuple[str, ...] = ("g711",),
        encryption: str = "",
        options: str = "",
    ) -> None:
        """Start, and register. `six`: from ::1; `codecs` and `encryption` (`srtp`, `srtp-mand`, `dtls_srtp`) as its
        modules are called; `options` of the account."""
        self._folder.mkdir()
        modules = [*codecs, "aufile", "aubridge", "sndfile"]
        modules += ["srtp"] if encryption.startswith("srtp") else ["dtls_srtp"] if encryption else []
        settings = _CONFIGURATION.format(
            address="::1" if six else "127.0.0.1", six="yes" if six else "no", speech=self._speech,
            folder=self._folder, modules=_MODULES, control=self._control, port=_CONTROL_PORT,
        )  # fmt: skip
        (self._folder / "config").write_text(settings + "".join(f"module {each}.so\n" for each in modules))
        host = f"[::1]:{site.six_port}" if six else f"{site.host}:{TLS_PORT if transport == 'tls' else site.sip_port}"
        account = f'<sip:{self._name}@{DOMAIN};transport={transport}>;auth_pass={password};outbound="sip:{host}'
        account += f';transport={transport};lr";regint=600'
        account += f";mediaenc={encryption}" if encryption else ""
        (self._folder / "accounts").write_text(account + options + "\n")
        with (self._folder / "log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                "baresip", "-f", str(self._folder), "-t", "120",
                stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        reader = await self._connect()
        self._reader = asyncio.create_task(self._read(reader))
        async with asyncio.timeout(10):  # it may have told before we listened
            while not re.search(r"\} 200 OK \(.*\) \[\d+ bindings?\]", self.log()):
                await asyncio.sleep(0.05)

    async def _connect(self) -> asyncio.StreamReader:
        async with asyncio.timeout(10):
            while True:
                with contextlib.suppress(OSError):
                    reader, self._writer = await asyncio.open_connection(self._control, _CONTROL_PORT)
                    return reader
                assert self._process is not None
                assert self._process.returncode is None, self.log()
                await asyncio.sleep(0.05)

    async def _read(self, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                size = int((await reader.readuntil(b":"))[:-1])
                body = await reader.readexactly(size + 1)
                told = json.loads(body[:-1])
                if told.get("event"):
                    self.news.tell(told)

    async def command(self, command: str, parameters: str = "") -> None:
        """One of its long commands, such as `dial`."""
        assert self._writer is not None
        body = json.dumps({"command": command, "params": parameters, "token": "t"}).encode()
        self._writer.write(b"%d:%s," % (len(body), body))
        await self._writer.drain()

    async def call(self, number: str) -> None:
        await self.command("dial", f"sip:{number}@{DOMAIN}")

    async def answer(self) -> None:
        await self.news.wait("CALL_INCOMING")
        await self.command("accept")

    async def connected(self) -> Event:
        return await self.news.wait("CALL_ESTABLISHED")

    async def hang_up(self) -> None:
        await self.command("hangup")

    async def press(self, digits: str) -> None:
        await self.command("sndcode", digits)

    async def ended(self) -> Event:
        return await self.news.wait("CALL_CLOSED")

    def heard(self) -> list[Path]:
        """What it has heard, a WAV for each time that its audio began anew."""
        return sorted(self._folder.glob("dump-*-dec.wav"))

    def seconds_heard(self, frequency: float) -> float:
        """For how many seconds that tone was heard in all calls."""
        return sum(seconds_heard(path, frequency) for path in self.heard())

    async def listen(self, seconds: float) -> None:
        """Until it has heard so much more (whatever it was)."""
        start = self._seconds()
        async with asyncio.timeout(20 + seconds):
            while self._seconds() < start + seconds:
                await asyncio.sleep(0.05)

    def _seconds(self) -> float:
        """How much is written down by now; the header tells octets a second, but no length until the end."""
        total = 0.0
        for path in self.heard():
            head = path.read_bytes()[:32]
            if len(head) == 32:
                total += path.stat().st_size / int.from_bytes(head[28:32], "little")
        return total

    async def close(self) -> None:
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            process.terminate()  # it hangs up and unregisters
            try:
                await asyncio.wait_for(process.wait(), 5)
            except TimeoutError:
                process.kill()
                await process.wait()
        if self._writer is not None:
            self._writer.close()
        if self._reader is not None:
            self._reader.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reader
