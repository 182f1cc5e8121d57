"""How soon a voice message is mail: from the caller's BYE to `* n EXISTS` at a client that waits in IDLE (RFC 2177).

Several callers leave a message at the same time, each for an owner of its own; they hang up one after another.
"""

from __future__ import annotations

import socket
import statistics
import time
from collections.abc import Callable, Sequence

from bench.figures import Figure, effort
from bench.phones import Call, Telephones
from bench.site import DOMAIN, PASSWORD, Site
from bench.sound import speak

HOST, PHONES = "127.0.79.1", "127.0.79.2"
SPEECH = 3.5
"""Seconds of each message; below two it would be too short to be kept."""


def run() -> list[Figure]:
    owners = [f"owner{number}" for number in range(effort(9, 3))]
    with Site(HOST, trusted=PHONES) as site, Telephones(PHONES, site.server) as phones:
        for owner in owners:
            site.account(owner)
        clients = [_Idle((HOST, site.imap_port), f"{owner}@{DOMAIN}") for owner in owners]
        calls = [phones.call(owner) for owner in owners]
        phones.until(lambda: all(call.status for call in calls))
        refused = [call.status for call in calls if call.status != 200]
        if refused:
            raise RuntimeError(f"voicemail did not answer: {refused[0]}")
        _leave_messages(phones, calls)
        before = site.usage()
        late = [_hang_up(phones, call, client) for call, client in zip(calls, clients, strict=True)]
        spent = site.usage() - before
        for client in clients:
            client.close()
    return [
        ("whole server: voicemail, hang-up to EXISTS in IDLE, median", statistics.median(late), "ms"),
        ("whole server: voicemail, hang-up to EXISTS in IDLE, worst", max(late), "ms"),
        (f"whole server: voicemail, a message of {SPEECH:.0f} s delivered", spent.main / len(late) * 1e6, "CPU µs"),
    ]


def _leave_messages(phones: Telephones, calls: Sequence[Call]) -> None:
    speak(calls, 0.5)
    for call in calls:
        phones.digit(call, "#")  # cuts the greeting
    phones.until(_after(0.3))
    speak(calls, SPEECH, first=25)


def _after(seconds: float) -> Callable[[], bool]:
    end = time.monotonic() + seconds
    return lambda: time.monotonic() >= end


def _hang_up(phones: Telephones, call: Call, client: _Idle) -> float:
    """Milliseconds until the mail client knows."""
    began = time.monotonic()
    phones.hang_up(call)
    client.wait_for("EXISTS")
    late = (time.monotonic() - began) * 1e3
    phones.until(lambda: call.ended)
    return late


class _Idle:
    """A mail client that has selected INBOX and waits in IDLE."""

    def __init__(self, server: tuple[str, int], user: str) -> None:
        self._socket = socket.create_connection(server, timeout=15)
        self._stream = self._socket.makefile("rb")
        self._stream.readline()
        for number, command in enumerate((f"LOGIN {user} {PASSWORD}", "SELECT INBOX")):
            self._socket.sendall(f"a{number} {command}\r\n".encode())
            self.wait_for(f"a{number} OK")
        self._socket.sendall(b"a9 IDLE\r\n")
        self.wait_for("+")

    def wait_for(self, text: str) -> None:
        while text.encode() not in (line := self._stream.readline()):
            if not line or line.startswith((b"a0 NO", b"a1 NO")):
                raise RuntimeError(f"the mail server said {line!r}")

    def close(self) -> None:
        self._stream.close()
        self._socket.close()


if __name__ == "__main__":
    for name, value, unit in run():
        print(f"{value:>10.1f} {unit:10} {name}")
