"""Who asks for a file is given it, or nothing. Knows neither HTTP nor TFTP.

Inside our network a telephone may ask by its MAC address, in clear. From elsewhere only over TLS and with a token:
passwords never leave our network in clear. Whoever asks for something else hears that there is no such file.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Protocol
from zoneinfo import ZoneInfo

from base.clock import Clock
from base.log import get_logger
from base.metrics import Metrics
from base.values.kinds import Value
from directory.model import Account
from directory.secrets import Algorithm
from directory.settings import targets
from gateways.provisioning.families import Family, families
from gateways.provisioning.model import Facts, Phone, keys_of
from gateways.provisioning.phones import Phones, Seen

TOKENS = "t"
"""The first part of a path with a token: `t/TOKEN/file`."""
_MAC = re.compile(r"(?<![0-9a-f])(?:[0-9a-f]{2}[:-]?){5}[0-9a-f]{2}(?![0-9a-f])", re.IGNORECASE)
_HOST = re.compile(r"[A-Za-z0-9.:_-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]")
_log = get_logger("gateways.provisioning")


class People(Protocol):
    """What is needed of the directory."""

    def account(self, account_id: int) -> Account | None: ...

    def aliases(self, account_id: int) -> tuple[str, ...]: ...

    def setting(self, account_id: int, key: str) -> Value: ...

    def secret(self, account_id: int, kind: str) -> str: ...

    def ha1(self, account_id: int, username: str, realm: str, algorithm: Algorithm) -> str: ...


@dataclass(frozen=True, slots=True)
class Ports:
    """Where telephones send SIP, and where they fetch files."""

    sip: int = 5060
    tls: int = 5061
    https: int = 9100


@dataclass(frozen=True, slots=True)
class Ask:
    """`path` without its first slash; `host` is what the telephone calls us, without a port; `secure`: over TLS."""

    path: str
    source: str
    host: str
    secure: bool
    agent: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    content: bytes
    content_type: str


class ProvisioningDesk:
    """`inside(address)`: whether it is in our network."""

    def __init__(
        self,
        phones: Phones,
        people: People,
        inside: Callable[[str], bool],
        ports: Ports,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._phones = phones
        self._people = people
        self._inside = inside
        self._ports = ports
        self._clock = clock
        self._metrics = metrics

    async def answer(self, ask: Ask) -> Answer | None:
        """None: there is no such file for him."""
        self._metrics.count("gateways.provisioning.requests")
        answer = await self._answer(ask)
        self._metrics.count(f"gateways.provisioning.{'served' if answer is not None else 'refused'}")
        return answer

    async def _answer(self, ask: Ask) -> Answer | None:
        inside = self._inside(ask.source)
        if not _HOST.fullmatch(ask.host) or not (inside or ask.secure):
            return None
        first, _, rest = ask.path.partition("/")
        if first == TOKENS:
            token, _, path = rest.partition("/")
            phone = await self._phones.admitted(token, ask.source)
            return None if phone is None else self._private(phone, path, ask)
        return self._by_mac(ask) if inside else None

    def _by_mac(self, ask: Ask) -> Answer | None:
        for family in families().values():
            found = family.file(ask.path)
            if found is None:
                continue
            file, mac = found
            if not mac:
                return Answer(family.plain(file), file.content_type) if file.public else None
            phone = self._phones.find(mac)
            if phone is not None and phone.family != family.name:
                continue  # another family has files of that name
            self._phones.note(mac, self._seen(ask))
            return self._private(phone, ask.path, ask) if phone is not None and phone.lan else None
        return None

    def _private(self, phone: Phone, path: str, ask: Ask) -> Answer | None:
        family, account = families().get(phone.family), self._people.account(phone.account_id)
        if family is None or account is None:
            return None
        found = family.file(path)
        other = _MAC.search(ask.agent)
        if found is None or (other is not None and re.sub(r"[:-]", "", other[0]).lower() != phone.mac):
            return None
        file, mac = found
        if mac and mac != phone.mac:
            return None
        self._phones.note(phone.mac, self._seen(ask))
        _log.info(
            "telephone fetches its file", mac=phone.shown, account=account.address, source=ask.source, tls=ask.secure
        )
        return Answer(family.write(file, self._facts(phone, family, account, ask)), file.content_type)

    def owner(self, phone: Phone) -> Account | None:
        """Its account; None when that has ended."""
        return self._people.account(phone.account_id)

    def files(self, phone: Phone, ask: Ask, hidden: str) -> list[tuple[str, bytes]]:
        """Its own files for people to look at, with `hidden` in place of each secret."""
        family, account = families().get(phone.family), self._people.account(phone.account_id)
        if family is None or account is None:
            return []
        facts = replace(self._facts(phone, family, account, ask), password=hidden, ha1=hidden)
        own = {file.template: file for file in family.files if not file.public}
        return [(file.path.replace("{mac}", phone.mac), family.write(file, facts)) for file in own.values()]

    def _seen(self, ask: Ask) -> Seen:
        return Seen(self._clock.wall(), ask.source, ask.agent[:128], ask.path[-80:])

    def _facts(self, phone: Phone, family: Family, account: Account, ask: Ask) -> Facts:
        people, host = self._people, ask.host
        zone = str(people.setting(account.id, "TimeZone") or "")
        name = account.real_name or account.name
        return Facts(
            mac=phone.mac,
            host=host,
            port=self._ports.tls if ask.secure else self._ports.sip,
            transport="tls" if ask.secure else "udp",
            domain=account.domain,
            user=account.name,
            login=account.name,
            password=people.secret(account.id, "password"),
            ha1=people.ha1(account.id, account.name, account.domain, "MD5"),
            name=name,
            label=next((alias for alias in people.aliases(account.id) if alias.isdigit()), name),
            voicemail="*97",
            pickup="**",
            keys=keys_of(targets(people.setting(account.id, "PhoneKeys"))),
            next_url=self.url(phone, family, host) if ask.secure else "",
            time_zone=zone,
            utc_offset=self._offset(zone),
        )

    def url(self, phone: Phone, family: Family, host: str, token: str = "") -> str:
        """Where the telephone asks over TLS; by its next token when none is given."""
        token = token or self._phones.following(phone.mac)
        return f"https://{host}:{self._ports.https}/{TOKENS}/{token}/{family.path.replace('{mac}', phone.mac)}"

    def _offset(self, zone: str) -> int:
        moment = datetime.fromtimestamp(self._clock.wall(), UTC)
        local = moment.astimezone(ZoneInfo(zone)) if zone else moment.astimezone()
        offset = local.utcoffset()
        return 0 if offset is None else int(offset.total_seconds())
