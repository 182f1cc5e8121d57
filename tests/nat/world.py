"""A small Internet in network namespaces: a public segment, real routers of the kernel, and what stands behind them.

All of it is made by a test and taken away again; nothing in it has a way out. The addresses of the public segment are
global ones, as the ranges for documentation count as private; they exist only in here. Needs root, iproute2, nftables.
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Literal

Kind = Literal["full-cone", "restricted-cone", "port-restricted", "symmetric"]
KINDS: tuple[Kind, ...] = ("full-cone", "restricted-cone", "port-restricted", "symmetric")

_numbers = itertools.count(1)


def lacking() -> str:
    """Why this machine cannot have namespaces; empty when it can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    for program in ("ip", "nft"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    name = f"tandem-try-{os.getpid()}"
    if subprocess.run(["ip", "netns", "add", name], capture_output=True).returncode != 0:
        return "the kernel has no network namespaces"
    try:
        can = _nft(name, "table ip t { chain c { type nat hook postrouting priority 100; masquerade; }; }")
        return "" if can else "the kernel has no nftables with NAT"
    finally:
        subprocess.run(["ip", "netns", "del", name], capture_output=True)


def _nft(namespace: str, rules: str) -> bool:
    command = ["ip", "netns", "exec", namespace, "nft", "-f", "-"]
    return subprocess.run(command, input=rules.encode(), capture_output=True).returncode == 0


@dataclass(frozen=True, slots=True)
class Segment:
    """A bridge in the namespace `name`; hosts get addresses `prefix` plus their number."""

    name: str
    bridge: str
    prefix: str
    gateway: str = ""


@dataclass(frozen=True, slots=True)
class Host:
    """One machine: its namespace and address."""

    name: str
    address: str

    @property
    def before(self) -> tuple[str, ...]:
        """To be put before a command that is to run there."""
        return ("ip", "netns", "exec", self.name)


class World:
    """Use it as a context manager: what it made is gone afterwards."""

    def __init__(self) -> None:
        self._mark = f"t{os.getpid() % 1000000}x{next(_numbers)}"
        self._names: list[str] = []
        self._cables = itertools.count(1)
        self.public = Segment("", "", "")

    def __enter__(self) -> World:
        try:
            self.public = self._segment(self._namespace("net"), "11.22.33.")
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._remove()

    def _remove(self) -> None:
        for name in reversed(self._names):
            subprocess.run(["ip", "netns", "del", name], capture_output=True)

    # --- what stands in it

    def host(self, label: str, segment: Segment, number: int) -> Host:
        """A machine on a segment, with its gateway as default route."""
        name = self._namespace(label)
        address = f"{segment.prefix}{number}"
        self._plug(name, "eth0", segment, address)
        if segment.gateway:
            self.run(name, f"ip route add default via {segment.gateway}")
        return Host(name, address)

    def also(self, host: Host, interface: str, segment: Segment, number: int) -> str:
        """One more leg of a machine; returns its address there."""
        address = f"{segment.prefix}{number}"
        self._plug(host.name, interface, segment, address)
        return address

    def lan(self, label: str, prefix: str) -> Segment:
        """A segment without a way out."""
        return self._segment(self._namespace(label), prefix)

    def router(
        self,
        label: str,
        outer: Segment,
        number: int,
        *,
        prefix: str = "192.168.1.",
        kind: Kind = "port-restricted",
        inner: int = 2,
        alg: int = 0,
        loss: int = 0,
        forget: int = 0,
    ) -> Segment:
        """A NAT router; returns the segment behind it. `inner`: the machine that a cone is made for; `alg`: the port
        of SIP that the kernel's helper meddles with; `loss`: per cent of UDP packets that vanish; `forget`: seconds
        after which an unused way in is closed."""
        name = self._namespace(label)
        self._plug(name, "wan", outer, f"{outer.prefix}{number}")
        if outer.gateway:
            self.run(name, f"ip route add default via {outer.gateway}")
        self.run(name, "echo 1 > /proc/sys/net/ipv4/ip_forward")
        if forget:
            for key in ("nf_conntrack_udp_timeout", "nf_conntrack_udp_timeout_stream"):
                self.run(name, f"echo {forget} > /proc/sys/net/netfilter/{key}")
        behind = self._segment(name, prefix, gateway=f"{prefix}1")
        rules = _rules(kind, f"{prefix}{inner}", alg, loss)
        if not _nft(name, rules):
            raise RuntimeError(f"nft refuses the rules of {label}:\n{rules}")
        return behind

    def meddling_router(self, label: str, outer: Segment, number: int) -> tuple[Segment, bool]:
        """A router with the kernel's SIP helper on port 5060, or one without when the kernel has none."""
        probe = self._namespace(f"{label}-probe")
        helped = _nft(probe, 'table ip t { ct helper meddler { type "sip" protocol udp; }\n }')
        if not helped:
            print("stand-in: this kernel has no SIP helper, a plain router is used")
        return self.router(label, outer, number, alg=5060 if helped else 0), helped

    def renumber(self, segment: Segment, outer: Segment, before: int, after: int) -> None:
        """The router before a segment gets another address outside, and so forgets every way (a nightly reconnect)."""
        old, new = f"{outer.prefix}{before}", f"{outer.prefix}{after}"
        self.run(segment.name, f"ip addr del {old}/24 dev wan && ip link set wan down && ip link set wan up")
        self.run(segment.name, f"ip addr add {new}/24 dev wan")

    def router_says(self, segment: Segment, command: str) -> str:
        """What a command prints in the router before a segment."""
        return self.run(segment.name, command)

    # --- inside

    def _namespace(self, label: str) -> str:
        name = f"{self._mark}-{label}"
        _check(["ip", "netns", "add", name])
        self._names.append(name)
        self.run(name, "ip link set lo up")
        return name

    def _segment(self, name: str, prefix: str, gateway: str = "") -> Segment:
        self.run(name, "ip link add br0 type bridge && ip link set br0 up")
        if gateway:
            self.run(name, f"ip addr add {gateway}/24 dev br0")
        return Segment(name, "br0", prefix, gateway)

    def _plug(self, name: str, interface: str, segment: Segment, address: str) -> None:
        port = f"p{next(self._cables)}"
        _check(["ip", "link", "add", interface, "netns", name, "type", "veth", "peer", port, "netns", segment.name])
        self.run(segment.name, f"ip link set {port} master {segment.bridge} up")
        self.run(name, f"ip addr add {address}/24 dev {interface} && ip link set {interface} up")

    @staticmethod
    def run(namespace: str, command: str) -> str:
        return _check(["ip", "netns", "exec", namespace, "sh", "-ec", command])


def _check(command: Sequence[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


def _rules(kind: Kind, inner: str, alg: int, loss: int) -> str:
    """The router's nftables. `masquerade` keeps the port and lets in only what was asked (port-restricted); with
    `fully-random` each peer sees another port (symmetric); a DNAT opens it to all (full cone) or to hosts that were
    written to (restricted cone)."""
    random = " fully-random" if kind == "symmetric" else ""
    inwards = {
        "full-cone": f'iifname "wan" meta l4proto udp dnat to {inner};',
        "restricted-cone": f'iifname "wan" meta l4proto udp ip saddr @known dnat to {inner};',
    }.get(kind, "")
    helper = f'iifname "br0" udp dport {alg} ct helper set "meddler";' if alg else ""
    lose = f"meta l4proto udp numgen random mod 100 < {loss} drop;" if loss else ""
    return f"""
table ip router {{
    {'ct helper meddler { type "sip" protocol udp; }' if alg else ""}
    set known {{ type ipv4_addr; flags dynamic,timeout; timeout 2m; size 1024; }}
    chain dialled {{ type nat hook prerouting priority -100; {inwards} }}
    chain hidden {{ type nat hook postrouting priority 100; oifname "wan" masquerade{random}; }}
    chain meddling {{ type filter hook prerouting priority 0; {helper} }}
    chain through {{
        type filter hook forward priority 0;
        oifname "wan" meta l4proto udp update @known {{ ip daddr }};
        {lose}
        ct state established,related accept;
        ct status dnat accept;
        iifname "wan" drop;
    }}
    chain own {{ type filter hook input priority 0; iifname "wan" meta l4proto != icmp drop; }}
}}
"""
