"""Telephones that set themselves up, as an administrator sees them (`admin.ports.Phones`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from admin.ports import PhoneLink, PhoneRow
from base.entropy import Entropy
from base.failures import Failure
from directory.model import Account
from gateways.provisioning.desk import Ask, ProvisioningDesk
from gateways.provisioning.families import Family, families, family_of, guessed
from gateways.provisioning.model import Phone, mac_of
from gateways.provisioning.phones import Phones, Seen

_HIDDEN = "********"


class PhoneAdministration:
    """Over the telephones and the desk that gives them their files."""

    def __init__(self, phones: Phones, desk: ProvisioningDesk, entropy: Entropy) -> None:
        self._phones = phones
        self._desk = desk
        self._entropy = entropy

    def rows(self) -> Sequence[PhoneRow]:
        known = [self._row(phone) for phone in self._phones.all()]
        asked = [
            self._told(PhoneRow(Phone(mac, "", 0).shown, self._guess(mac, seen), by_mac=False), seen)
            for mac, seen in self._phones.unknown.items()
        ]
        return [*known, *asked]

    def _guess(self, mac: str, seen: Seen) -> str:
        family = guessed(mac, seen.agent)
        return "" if family is None else family.name

    def _row(self, phone: Phone) -> PhoneRow:
        account = self._desk.owner(phone)
        row = PhoneRow(phone.shown, phone.family, "" if account is None else account.address, phone.lan)
        seen = self._phones.seen(phone.mac)
        return row if seen is None else self._told(row, seen)

    def _told(self, row: PhoneRow, seen: Seen) -> PhoneRow:
        moment = datetime.fromtimestamp(seen.wall, UTC).astimezone()
        return replace(row, seen=moment.isoformat(timespec="seconds"), source=seen.source, agent=seen.agent)

    def families(self) -> Sequence[tuple[str, str]]:
        return [(name, family.title) for name, family in families().items()]

    async def add(self, account: Account, mac: str, family: str, host: str, *, by_mac: bool) -> PhoneLink:
        kind, number = self._kind(mac, family)
        phone = Phone(number, kind.name, account.id, lan=by_mac and not kind.link)
        token = await self._phones.put(phone)
        url = self._desk.url(phone, kind, host, token)
        files = [] if kind.link else [self._path(kind, phone)]
        return PhoneLink(phone.shown, kind.name, url, kind.link.format(url=url), files)

    def _kind(self, mac: str, family: str) -> tuple[Family, str]:
        """Apps have no MAC address: they get one that no maker has."""
        if not mac:
            if not family or not family_of(family).link:
                apps = ", ".join(name for name, each in families().items() if each.link)
                raise Failure("invalid", f"give the MAC address of the telephone, or an app: {apps}")
            return family_of(family), "02" + self._entropy.octets(5).hex()
        number = mac_of(mac)
        kind = family_of(family) if family else guessed(number)
        if kind is None:
            raise Failure("invalid", f"whose telephone {mac} is, is not known: give --family")
        return kind, number

    def _path(self, family: Family, phone: Phone) -> str:
        return family.path.replace("{mac}", phone.mac) or f"{phone.mac}.cfg"

    def owner(self, mac: str) -> Account | None:
        phone = self._phones.find(mac_of(mac))
        return None if phone is None else self._desk.owner(phone)

    async def remove(self, mac: str) -> None:
        await self._phones.remove(mac_of(mac))

    def show(self, mac: str, host: str) -> Sequence[tuple[str, bytes]]:
        number = mac_of(mac)
        phone = self._phones.find(number)
        if phone is None:
            raise Failure("not-found", f"there is no telephone {mac}")
        ask = Ask("", "127.0.0.1", host, secure=False)
        return self._desk.files(phone, ask, hidden=_HIDDEN)
