"""What a registration costs the server: CPU microseconds with digest over UDP, and memory. Figures only.

The registrar runs in a child process on real sockets and a real database in a temporary folder, the phones here.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import resource
import socket
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

from base.clock import LoopClock
from base.entropy import SystemEntropy
from base.log import configure
from base.metrics import Metrics
from base.storage.sqlite import SqliteDatabases
from directory.directory import Directory
from directory.firststart import prepare
from directory.secrets import Keyring
from pbx.messages.server import Messenger
from pbx.policy.policy import Policy, Rooms
from pbx.presence.room import Events
from pbx.proxy.proxy import Proxy
from pbx.registrar.bindings import Bindings
from pbx.registrar.server import Registrar
from pbx.sipcore import digest
from pbx.sipcore.flow import Flow
from pbx.sipcore.message import Request, Response
from pbx.sipcore.parser import parse
from pbx.sipcore.server_transaction import ServerTransaction
from pbx.transport.sockets import SystemNetwork
from pbx.transport.stack import SipStack, StackSettings

DOMAIN = "bench.example"
ACCOUNTS, CONTACTS = 200, 10
HOST = "127.0.30.1"


class _NoCalls:
    def invite(self, transaction: ServerTransaction, *_: object) -> None:
        transaction.reply(404)

    def in_dialog(self, transaction: ServerTransaction) -> bool:
        return False

    def ack(self, request: Request, flow: Flow) -> bool:
        return False

    def stray_response(self, response: Response, flow: Flow) -> None:
        pass


async def _serve(pipe: Connection, folder: str) -> None:
    loop = asyncio.get_running_loop()
    clock, entropy, metrics = LoopClock(loop), SystemEntropy(), Metrics()
    databases = SqliteDatabases(Path(folder), metrics)
    database = await databases.main()
    directory = await Directory.open(database, Keyring(bytes(32), entropy), hosts=(HOST,))
    await prepare(directory, DOMAIN, entropy)
    for number in range(ACCOUNTS):
        await directory.create_account(DOMAIN, f"u{number}", "secret")
    stack = SipStack(SystemNetwork(), clock, entropy, metrics, StackSettings(((HOST, 0),), ()))
    bindings = Bindings(clock)
    registrar = Registrar(clock, entropy, metrics, database, bindings)
    await registrar.start()

    async def counts(account_id: int) -> tuple[int, int]:
        return 0, 0

    events = Events(clock, entropy, metrics, stack, directory, Bindings(clock), counts, database)
    await events.start()
    messenger = Messenger(clock, metrics, stack, directory, bindings, database)
    await messenger.start()
    proxy = Proxy(stack, metrics, bindings, bytes(32))
    rooms = Rooms(_NoCalls(), events, registrar, proxy, messenger)
    stack.attach(Policy(clock, entropy, metrics, directory, stack, rooms))
    await stack.start()
    pipe.send(stack.addresses[0][1])
    asked = asyncio.Event()
    loop.add_reader(pipe.fileno(), asked.set)
    while True:
        await asked.wait()
        asked.clear()
        if not pipe.poll():
            continue
        if pipe.recv() == "end":
            break
        pipe.send((time.process_time(), _resident()))
    await stack.close()
    await registrar.close()
    await databases.close()


def _resident() -> float:
    """KiB in memory now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1024


def _child(pipe: Connection, folder: str) -> None:
    configure("warning")
    asyncio.run(_serve(pipe, folder))


def _message(user: str, port: int, cseq: int, tag: str, authorization: str = "") -> bytes:
    return (
        f"REGISTER sip:{DOMAIN} SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP {HOST}:{port};branch=z9hG4bK{user}{port}{tag}{cseq};rport\r\n"
        f"Max-Forwards: 70\r\nFrom: <sip:{user}@{DOMAIN}>;tag=1\r\nTo: <sip:{user}@{DOMAIN}>\r\n"
        f"Call-ID: {user}-{port}\r\nCSeq: {cseq} REGISTER\r\nContact: <sip:{user}@{HOST}:{port}>\r\nExpires: 3600\r\n"
        f"User-Agent: Bench 1.0\r\n{authorization}Content-Length: 0\r\n\r\n"
    ).encode()


def _register(sock: socket.socket, user: str, port: int, cseq: int, tag: str) -> None:
    sock.send(_message(user, port, cseq, tag))
    challenged = parse(sock.recv(65_535))
    asked = digest.parse_challenge(challenged.get("WWW-Authenticate") or "")
    answer = digest.respond(asked, username=user, password="secret", method="REGISTER", uri=f"sip:{DOMAIN}", cnonce="c")
    sock.send(_message(user, port, cseq + 1, tag, f"Authorization: {answer}\r\n"))
    final = parse(sock.recv(65_535))
    if not isinstance(final, Response) or final.status != 200:
        raise RuntimeError(f"registration refused: {final!r}")


def _round(pipe: Connection, sock: socket.socket, tag: str, cseq: int) -> tuple[float, float, float]:
    """(CPU µs for one, KiB grown, registrations a second)."""
    pipe.send("usage")
    cpu, memory = pipe.recv()
    began = time.monotonic()
    for number in range(ACCOUNTS):
        for contact in range(CONTACTS):
            _register(sock, f"u{number}", 10_000 + contact, cseq, tag)
    seconds = time.monotonic() - began
    pipe.send("usage")
    cpu_after, memory_after = pipe.recv()
    total = ACCOUNTS * CONTACTS
    return (cpu_after - cpu) / total * 1e6, memory_after - memory, total / seconds


def run() -> list[tuple[str, float, str]]:
    """(name, value, unit) of each figure."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        child = context.Process(target=_child, args=(theirs, folder))
        child.start()
        sock.settimeout(10)
        sock.bind((HOST, 0))
        sock.connect(ours.recv())
        new_cost, grown, new_rate = _round(ours, sock, "a", 1)
        refresh_cost, _, refresh_rate = _round(ours, sock, "b", 3)
        ours.send("end")
        child.join(20)
    total = ACCOUNTS * CONTACTS
    return [
        ("registration, new (401 + 200, committed)", round(new_cost, 1), "CPU µs"),
        ("registration, refresh (401 + 200)", round(refresh_cost, 1), "CPU µs"),
        ("registration, new, one phone at a time", round(new_rate), "a second"),
        ("registration, refresh, one phone at a time", round(refresh_rate), "a second"),
        ("memory for 1,000 registrations", round(grown / total * 1000), "KiB"),
    ]


if __name__ == "__main__":
    for name, value, unit in run():
        print(f"{value:>10} {unit:10} {name}")
