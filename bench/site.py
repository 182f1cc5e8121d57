"""The whole server under measure: `tandem serve` in a process of its own, on a loopback address of its own."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType

from admin.client import call
from admin.ports import Json
from bench.process import Usage, children, cpu, resident

DOMAIN = "bench.test"
PASSWORD = "bench-secret-9"
READY = "Ctrl-C stops."
_ROOT = Path(__file__).resolve().parents[1]


class Site:
    """`with Site("127.0.75.1", trusted="127.0.75.2") as site:`; calls from `trusted` need no password."""

    def __init__(self, host: str, trusted: str = "", level: str = "info", sip: str = "") -> None:
        """`sip`: more lines for `[sip]`."""
        self.host = host
        self._trusted = trusted
        self._level = level
        self._folder = tempfile.TemporaryDirectory(prefix="tandem-bench-")
        self._data = Path(self._folder.name) / "data"
        self._log = Path(self._folder.name) / "log"
        self.port, self.imap_port, imaps_port = _free(host), _free(host), _free(host)
        (Path(self._folder.name) / "site.toml").write_text(
            f'[sip]\nlisten = "{host}:{self.port}"\ntrusted = [{f"{trusted!r}" if trusted else ""}]\n{sip}\n'
            f'[media]\naddress = "{host}"\n'
            f'[imap]\naddress = "{host}"\nport = {self.imap_port}\ntls_port = {imaps_port}\n'
            '[provisioning]\nhttp = "off"\nhttps = "off"\n'
            f'[log]\nlevel = "{level}"\n'
        )

    def __enter__(self) -> Site:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "server", "serve", "--data", str(self._data)),
                    *("--domain", DOMAIN, "--config", str(Path(self._folder.name) / "site.toml")),
                ],
                stdout=log,
                stderr=log,
                cwd=_ROOT,
            )
        limit = time.monotonic() + 30
        while READY not in self.log():
            if self._process.poll() is not None or time.monotonic() > limit:
                self._process.kill()
                raise RuntimeError(f"the server did not start\n{self.log()[-3000:]}")
            time.sleep(0.05)
        self._worker = next(pid for pid, line in children(self._process.pid) if "mediaproxy" in line)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if error is not None:
            print(self.log()[-3000:], file=sys.stderr)
        self._folder.cleanup()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def server(self) -> tuple[str, int]:
        return self.host, self.port

    def log(self) -> str:
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def usage(self) -> Usage:
        main, worker = self._process.pid, self._worker
        return Usage(cpu(main), cpu(worker), resident(main), resident(worker))

    def settle(self, limit: float = 8.0) -> None:
        """Wait until the server has nothing left to do: what one load began shall not count for the next."""
        end, before = time.monotonic() + limit, self.usage()
        while time.monotonic() < end:
            time.sleep(0.4)
            after = self.usage()
            if after.main - before.main <= 0.01:
                return
            before = after

    def act(self, act: str, /, **arguments: Json) -> Json:
        """What the `tandem` command would have done."""
        return call(self._data / "control.sock", act, arguments)

    def account(self, name: str, **settings: str) -> None:
        """Make an account with the password of all accounts here, and change its settings."""
        self.act("account.add", name=name, password=PASSWORD)
        for key, value in settings.items():
            self.act("setting.set", account=name, key=key, value=value)


def _free(host: str) -> int:
    """A port that nobody has on that address, neither for TCP nor for UDP."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as stream, socket.socket(type=socket.SOCK_DGRAM) as datagram:
        stream.bind((host, 0))
        port: int = stream.getsockname()[1]
        datagram.bind((host, port))
        return port
