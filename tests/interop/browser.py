"""JsSIP in a headless Chromium, driven by the DevTools protocol: a browser's telephone over WSS with DTLS-SRTP.

It speaks a WAV file as its microphone, and tells ten times a second which tone it hears. Nothing of it leaves the
machine: the page comes from a socket on loopback, and no other name or address is looked up.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import shutil
from pathlib import Path
from types import TracebackType
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.interop.news import Event, News
from tests.interop.site import WSS_PORT, Everywhere
from tests.scenes.site import DOMAIN

_CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
_PAGE = Path(__file__).parent / "softphone" / "index.html"
_SCRIPT = Path(os.environ.get("VENV", ".venv")).resolve() / "softphone" / "jssip.js"
PRESENT = _CHROMIUM is not None and _SCRIPT.exists()
_SWITCHES = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-quic", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-default-apps", "--disable-extensions",
    "--disable-dev-shm-usage", "--disable-background-timer-throttling", "--disable-renderer-backgrounding",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.*", "--remote-debugging-port=0",
    "--autoplay-policy=no-user-gesture-required", "--allow-loopback-in-peer-connection",
    "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream",
    "--ignore-certificate-errors",  # ours is self-signed
)  # fmt: skip


class Browser:
    """One browser with one page, which is one telephone."""

    def __init__(self, name: str, folder: Path, speech: Path) -> None:
        self.news = News(name)
        self._name = name
        self._folder = folder
        self._speech = speech
        self._process: asyncio.subprocess.Process | None = None
        self._server: asyncio.Server | None = None
        self._socket: ClientConnection | None = None
        self._reader: asyncio.Task[None] | None = None
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[Event]] = {}
        self._page = ""

    async def __aenter__(self) -> Browser:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        await self.close()
        if error is not None:
            told = [event for event in self.news.events if event["type"] != "heard"]
            print(f"--- {self._name}", *told[-30:], sep="\n")

    # --- the browser

    async def start(self, site: Everywhere, password: str, **options: object) -> None:
        """Start, and register. `options`: `video`, `bundle` (the policy of the peer connection)."""
        assert _CHROMIUM is not None
        origin = await self._serve(site.host)
        self._folder.mkdir()
        with (self._folder / "log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                _CHROMIUM, *_SWITCHES, f"--user-data-dir={self._folder}",
                f"--use-file-for-fake-audio-capture={self._speech}", "about:blank",
                stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        self._socket = await connect(await self._debugger(), max_size=None, compression=None)
        self._reader = asyncio.create_task(self._read(self._socket))
        target = await self._order("Target.createTarget", url="about:blank")
        attached = await self._order("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self._page = attached["sessionId"]
        await self._order("Runtime.enable")
        await self._order("Runtime.addBinding", name="report")
        await self._order("Page.enable")
        await self._order("Page.navigate", url=origin)
        await self.news.wait("Page.loadEventFired")
        settings = {
            "uri": f"sip:{self._name}@{DOMAIN}", "password": password,
            "socket": f"wss://{site.host}:{WSS_PORT}/", **options,
        }  # fmt: skip
        await self.run(f"start({json.dumps(settings)})")
        registered = await self.news.wait("registered", "refused")
        assert registered["type"] == "registered", registered

    async def _debugger(self) -> str:
        place = self._folder / "DevToolsActivePort"
        async with asyncio.timeout(30):
            while not place.exists() or len(place.read_text().split()) < 2:
                assert self._process is not None
                assert self._process.returncode is None, (self._folder / "log").read_text(errors="replace")
                await asyncio.sleep(0.05)
        port, path = place.read_text().split()
        return f"ws://127.0.0.1:{port}{path}"

    async def _serve(self, host: str) -> str:
        """The page and its script, from loopback, where a page may use the microphone, and from an address of the
        server, whose pages may open a WebSocket to it."""
        answers = {"/": (_PAGE, "text/html"), "/jssip.js": (_SCRIPT, "text/javascript")}

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                path = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode()
                if path in answers:
                    file, kind = answers[path]
                    body, status = file.read_bytes(), f"200 OK\r\nContent-Type: {kind}"
                else:
                    body, status = b"", "404 Not Found"
                head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
                writer.write(head.encode() + body)
                await writer.drain()
            writer.close()

        self._server = await asyncio.start_server(answer, host, 0)
        return f"http://{host}:{self._server.sockets[0].getsockname()[1]}/"

    async def _read(self, socket: ClientConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for message in socket:
                told = json.loads(message)
                waiting = self._answers.pop(told.get("id", 0), None)
                if waiting is not None:
                    waiting.set_result(told)
                elif told.get("method") == "Runtime.bindingCalled":
                    self.news.tell(json.loads(told["params"]["payload"]))
                elif told.get("method") in ("Page.loadEventFired", "Runtime.exceptionThrown"):
                    self.news.tell({"type": told["method"], **told["params"]})

    async def _order(self, method: str, **parameters: object) -> Any:
        """One command of the DevTools protocol."""
        assert self._socket is not None
        number = next(self._numbers)
        self._answers[number] = asyncio.get_running_loop().create_future()
        order = {"id": number, "method": method, "params": parameters}
        await self._socket.send(json.dumps({**order, "sessionId": self._page} if self._page else order))
        told = await asyncio.wait_for(self._answers[number], 20)
        assert "error" not in told, (method, told["error"])
        return told["result"]

    async def run(self, script: str) -> Any:
        """An expression in the page; returns its value."""
        done = await self._order("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    async def close(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(ConnectionClosed, TimeoutError):
                await self._socket.send(json.dumps({"id": 0, "method": "Browser.close"}))
            await self._socket.close()
        if self._reader is not None:
            await self._reader
        if self._process is not None:
            try:
                await asyncio.wait_for(self._process.wait(), 10)
            except TimeoutError:
                self._process.kill()
                await self._process.wait()
        if self._server is not None:
            self._server.close()

    # --- the telephone

    async def call(self, number: str) -> None:
        await self.run(f"dial('sip:{number}@{DOMAIN}')")

    async def answer(self) -> None:
        await self.news.wait("session", where=lambda event: event["by"] == "remote")
        await self.run("answer()")

    async def hang_up(self) -> None:
        await self.run("hangUp()")

    async def hold(self) -> None:
        await self.run("new Promise((done) => session.hold(media(), done))")

    async def resume(self) -> None:
        await self.run("new Promise((done) => session.unhold(media(), done))")

    async def press(self, keys: str, method: str = "RFC2833") -> None:
        """`method`: RFC2833 or INFO."""
        await self.run(f"press('{keys}', '{method}')")

    async def hears(self, frequency: float, seconds: float = 1.0, *, since: int = 0) -> None:
        """Until it has heard that tone for so long. Raises AssertionError after 15 seconds without."""
        async with asyncio.timeout(15 + seconds):
            while self.seconds_heard(frequency, since=since) < seconds:
                await asyncio.sleep(0.05)

    def seconds_heard(self, frequency: float, *, since: int = 0) -> float:
        """How long that tone was the loudest of what it has heard; measured ten times a second, some 12 Hz wide."""
        return 0.1 * sum(
            event["type"] == "heard" and abs(event["hertz"] - frequency) < 15 and event["decibel"] > -50
            for event in self.news.events[since:]
        )
