"""SIPp as the load: its scenarios, and how a run went. It runs outside the server, so its CPU is never counted.

Scenarios speak as plain phones do: digest on 401, Record-Route followed (RFC 3261 §12.1), NOTIFY answered.
"""

from __future__ import annotations

import csv
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n<scenario name="bench">\n'
_VIA = "Via: SIP/2.0/UDP [local_ip]:[local_port];branch=[branch];rport\nMax-Forwards: 70\n"
_SDP = (
    "Content-Type: application/sdp\nContent-Length: [len]\n\n"
    "v=0\no=bench 1 1 IN IP4 [local_ip]\ns=-\nc=IN IP4 [local_ip]\nt=0 0\n"
    "m=audio [media_port] RTP/AVP 0 8 101\na=rtpmap:0 PCMU/8000\na=rtpmap:8 PCMA/8000\n"
    "a=rtpmap:101 telephone-event/8000\na=ptime:20\n"
)
_EMPTY = "Content-Length: 0\n\n"
_TIMES = '<ResponseTimeRepartition value="5, 10, 20, 50, 100, 500"/>\n'


_OK = "SIP/2.0 200 OK\n"
_REFUSED = (
    '<recv response="503" optional="true" next="1" counter="2"><action>'
    '<ereg regexp="[0-9]+" search_in="hdr" header="Retry-After:" check_it="true" assign_to="1"/></action></recv>\n'
)


def _send(text: str, *, again: bool = False) -> str:
    """`again`: retransmit until something comes (RFC 3261 §17.1.1.2)."""
    attribute = ' retrans="500"' if again else ""
    return f"<send{attribute}><![CDATA[\n{text}]]></send>\n"


def _await(what: str, *options: str) -> str:
    return f"<recv {what} {' '.join(options)}/>\n"


def _status(number: int, *options: str) -> str:
    return _await(f'response="{number}"', *options)


def _scenario(*steps: str) -> str:
    return "".join((_HEAD, *steps, _TIMES, "</scenario>\n"))


def _request(method: str, uri: str, cseq: int, rest: str, *, sender: str, to: str) -> str:
    return (
        f"{method} {uri} SIP/2.0\n{_VIA}From: <{sender}>;tag=[pid]b[call_number]\nTo: {to}\n"
        f"Call-ID: [call_id]\nCSeq: {cseq} {method}\n{rest}"
    )


def registering(domain: str) -> str:
    """REGISTER, 401, REGISTER with digest, 200. Fields are `registration`'s."""

    def register(cseq: int, authorization: str) -> str:
        own = f"sip:[field0]@{domain}"
        rest = f"Contact: <sip:[field1]@[local_ip]:[local_port]>\nExpires: 3600\nUser-Agent: Bench\n{authorization}"
        return _request("REGISTER", f"sip:{domain}", cseq, rest + _EMPTY, sender=own, to=f"<{own}>")

    return _scenario(
        _send(register(1, ""), again=True),
        _status(401, 'auth="true"'),
        _send(register(2, "[field2]\n"), again=True),
        _status(200),
    )


def registration(account: str, contact: str, password: str) -> str:
    """One line of fields: account, user part of the Contact, and the login, which SIPp takes only whole."""
    return f"{account};{contact};[authentication username={account} password={password}]"


def calling(*, refusals: bool = False) -> str:
    """INVITE to the number of `-s`, ACK, a pause (`-d`), BYE. With `refusals` a 503 with Retry-After is no failure."""
    sender, to = "sip:bench@[local_ip]:[local_port]", "<sip:[service]@[remote_ip]:[remote_port]>"
    contact = "Contact: <sip:bench@[local_ip]:[local_port]>\n"
    whom = "sip:[service]@[remote_ip]:[remote_port]"
    invite = _request("INVITE", whom, 1, contact + _SDP, sender=sender, to=to)
    inside = f"[routes]\n{contact}{_EMPTY}"
    ack = _request("ACK", "[next_url]", 1, inside, sender=sender, to=f"{to}[peer_tag_param]")
    bye = _request("BYE", "[next_url]", 2, inside, sender=sender, to=f"{to}[peer_tag_param]")
    maybe = 'optional="true"'
    refused = _request("ACK", whom, 1, _EMPTY, sender=sender, to=f"{to}[peer_tag_param]")
    return _scenario(
        _send(invite, again=True),
        *(_status(number, maybe) for number in (100, 180, 183)),
        _REFUSED if refusals else "",
        _status(200, 'rrs="true"'),
        _send(ack),
        "<pause/>\n",
        _send(bye, again=True),
        *(_after_refusal(refused) if refusals else (_status(200),)),
    )


def _after_refusal(ack: str) -> Sequence[str]:
    """The end of a call that came about, and of one that was refused."""
    return (
        _status(200, 'counter="1"', 'next="2"'),
        '<label id="1"/>\n',
        _send(ack.replace("[branch]", "[branch-2]")),  # RFC 3261 §17.1.1.3
        '<label id="2"/>\n<Reference variables="1"/>\n',
    )


def answering() -> str:
    """Ring and answer back to back, then wait for BYE."""
    mine = "[last_To:];tag=[pid]a[call_number]\n"
    contact = "Contact: <sip:bob@[local_ip]:[local_port]>\n"
    return _scenario(
        _await('request="INVITE"'),
        _send("SIP/2.0 180 Ringing\n" + _same(mine) + contact + _EMPTY),
        _send(_OK + _same(mine) + contact + _SDP, again=True),
        _await('request="ACK"'),
        _await('request="BYE"'),
        _send(_OK + _same("[last_To:]\n") + _EMPTY),
    )


def _notified() -> str:
    """What comes outside a call: the lamp's NOTIFY."""
    return _scenario(_await('request="NOTIFY"'), _send(_OK + _same("[last_To:];tag=n[call_number]\n") + _EMPTY))


def _same(to: str) -> str:
    """What a response repeats of its request (RFC 3261 §8.2.6.2, §12.1.1)."""
    return f"[last_Via:]\n[last_From:]\n{to}[last_Call-ID:]\n[last_CSeq:]\n[last_Record-Route:]\n"


def installed() -> bool:
    return shutil.which("sipp") is not None


@dataclass(frozen=True, slots=True)
class Look:
    """What had been begun, completed and refused at a moment (seconds since 1970)."""

    at: float
    begun: int
    completed: int
    refused: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run went. `rate` is calls a second as it really was; `looks` is one each second and the last, in which
    `completed` and `refused` are what `successful` is made of."""

    successful: int
    failed: int
    retransmissions: int
    rate: float
    looks: Sequence[Look]

    @property
    def last(self) -> Look:
        return self.looks[-1]

    def window(self) -> tuple[Look, Look]:
        """The first look after the beginning and the last one at which calls were still to be begun: what comes before
        and after is no measure of the load."""
        during = [look for look in self.looks if 0 < look.begun < self.last.begun]
        if len(during) < 2:
            raise ValueError("too short a run")
        return during[0], during[-1]


class Sipp:
    """One SIPp process at `host`. `with` ends it."""

    def __init__(
        self, host: str, scenario: str, server: tuple[str, int] | None = None, *options: str, port: int = 0
    ) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="tandem-sipp-")
        self.address = (host, port or free_port(host))
        main, lamp = self._file("main.xml"), self._file("lamp.xml")
        main.write_text(scenario)
        lamp.write_text(_notified())
        target = [f"{server[0]}:{server[1]}", "-oocsf", str(lamp)] if server else []
        self._began = time.monotonic()
        with self._file("errors").open("wb") as errors:
            self._process = subprocess.Popen(
                [
                    *("sipp", *target, "-sf", str(main), "-i", host, "-p", str(self.address[1]), "-nostdin"),
                    *("-trace_stat", "-stf", "statistics.csv", "-fd", "1", "-deadcall_wait", "0", "-timer_resol", "1"),
                    *("-max_socket", "4000", *options),
                ],
                cwd=self._folder.name,
                stdout=subprocess.DEVNULL,
                stderr=errors,
            )

    def __enter__(self) -> Sipp:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if self._process.poll() is None:
            self._process.terminate()
        self._process.wait(10)
        self._folder.cleanup()

    def finish(self, limit: float) -> Outcome:
        """Wait until it has made its calls."""
        self._process.wait(limit)
        seconds = time.monotonic() - self._began
        path = self._file("statistics.csv")
        if not path.exists():
            raise RuntimeError(self._file("errors").read_text(errors="replace")[-1000:])
        rows = list(csv.DictReader(path.read_text().splitlines(), delimiter=";"))
        last = rows[-1]
        successful = int(last["SuccessfulCall(C)"])
        return Outcome(
            successful,
            int(last["FailedCall(C)"]),
            int(last["Retransmissions(C)"]),
            successful / seconds,
            [_look(row) for row in rows],
        )

    def _file(self, name: str) -> Path:
        return Path(self._folder.name) / name


def _look(row: dict[str, str]) -> Look:
    """Of one row of the statistics; a scenario without refusals counts nothing but success."""
    completed = row.get("GenericCounter1(C)", row["SuccessfulCall(C)"])
    at = float(row["CurrentTime"].split("\t")[-1])
    return Look(at, int(row["TotalCallCreated"]), int(completed), int(row.get("GenericCounter2(C)", 0)))


def free_port(host: str) -> int:
    with socket.socket(type=socket.SOCK_DGRAM) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def lines(folder: Path, rows: Sequence[str]) -> str:
    """A file of values for a scenario's fields."""
    path = folder / "fields.csv"
    path.write_text("\n".join(["SEQUENTIAL", *rows]) + "\n")
    return str(path)
