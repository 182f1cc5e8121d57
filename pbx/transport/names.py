"""NAPTR and SRV records through dnspython's asynchronous resolver, remembered as long as they say.

What they mean for SIP is in `locate.py`, for telephone numbers in `pbx.lookup`. An answer that does not come is none.

RFC 1035, RFC 2782, RFC 3403.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, cast

import dns.asyncresolver
import dns.exception
import dns.resolver

from base.log import get_logger
from pbx.transport.network import EnumRule, Naptr, Srv

LIMIT = 3.0
NONE_LIFE = 30.0
LONGEST_LIFE = 3600.0
CACHED = 1024
MOST = 32
"""Limit: seconds for a question; seconds that no answer, and at most any answer, is remembered; answers kept; records
of one answer that count."""

_log = get_logger("pbx.transport")


class NameService:
    """`servers` with their port instead of the system's; then addresses are asked of them too."""

    def __init__(self, servers: Sequence[str] = (), port: int = 53) -> None:
        self._servers = tuple(servers)
        self._port = port
        self._resolver: dns.asyncresolver.Resolver | None = None
        self._known: OrderedDict[tuple[str, str], tuple[float, tuple[Any, ...]]] = OrderedDict()

    @property
    def own_addresses(self) -> bool:
        return bool(self._servers)

    async def naptr(self, domain: str) -> Sequence[Naptr]:
        records = await self._ask(domain, "NAPTR")
        return tuple(
            Naptr(each.order, each.preference, each.service.decode().upper(), _name(each.replacement))
            for each in records
            if each.flags.lower() == b"s" and each.service.isascii()
        )

    async def enum(self, name: str) -> Sequence[EnumRule]:
        records = await self._ask(name, "NAPTR")
        return tuple(
            EnumRule(each.order, each.preference, each.service.decode("ascii", "replace"), each.regexp.decode("utf-8"))
            for each in records
            if each.flags.lower() == b"u" and each.regexp.isascii()
        )

    async def srv(self, name: str) -> Sequence[Srv]:
        records = await self._ask(name, "SRV")
        return tuple(Srv(each.priority, each.weight, each.port, _name(each.target)) for each in records)

    async def addresses(self, host: str) -> Sequence[str]:
        four, six = await asyncio.gather(self._ask(host, "A"), self._ask(host, "AAAA"))
        return tuple(str(each.address) for each in (*four, *six))

    async def _ask(self, name: str, kind: str) -> Sequence[Any]:
        now = asyncio.get_running_loop().time()
        known = self._known.get((name, kind))
        if known is not None and known[0] > now:
            return known[1]
        life, records = await self._question(name, kind)
        self._known[name, kind] = (now + min(life, LONGEST_LIFE), records)
        self._known.move_to_end((name, kind))
        if len(self._known) > CACHED:
            self._known.popitem(last=False)
        return records

    async def _question(self, name: str, kind: str) -> tuple[float, tuple[Any, ...]]:
        try:
            answer = await self._asked().resolve(name, kind, lifetime=LIMIT, search=False)
        except (dns.exception.DNSException, OSError, ValueError) as error:
            if not isinstance(error, (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer)):
                _log.info("no answer from DNS", name=name, type=kind, cause=type(error).__name__)
            return NONE_LIFE, ()
        return float(max(answer.rrset.ttl if answer.rrset is not None else 0, 1)), tuple(answer)[:MOST]

    def _asked(self) -> dns.asyncresolver.Resolver:
        if self._resolver is None:
            try:
                self._resolver = dns.asyncresolver.Resolver(configure=not self._servers)
            except dns.resolver.NoResolverConfiguration:
                self._resolver = dns.asyncresolver.Resolver(configure=False)
            if self._servers:
                self._resolver.nameservers = list(self._servers)
                self._resolver.port = self._port
        return self._resolver


def _name(name: object) -> str:
    return cast("Any", name).to_text(omit_final_dot=True).lower()  # type: ignore[no-any-return]
