"""The server's Network settings: who is a client, who is inside, whom we trust, who may relay, who is shut out.

They belong to the server alone, are kept in the directory and changed while it runs (`tandem network`); each request
looks at the present `Network`. Not here: how a request is judged by them (`pbx.policy`).

Spec: the guide, section V.D; cgp-server §5, §16.
"""

from __future__ import annotations

import difflib
import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from base.failures import Failure
from directory import addresses, pace
from directory.addresses import AddressList, IpNetwork
from directory.pace import Pace
from directory.store import Change, Store

_SERVER = ("server", 0)


class Relay(enum.Enum):
    """CommuniGate's "Relay to Non-Clients for": who may send requests to servers that are no clients of ours."""

    NOBODY = "nobody"
    CLIENTS = "clients"
    EVERYBODY = "everybody"


@dataclass(frozen=True, slots=True)
class Fixed:
    """What the configuration file lays down; it cannot be taken away at run time."""

    trusted: tuple[IpNetwork, ...] = ()
    lan: tuple[IpNetwork, ...] = ()


@dataclass(frozen=True, slots=True)
class NetworkSetting:
    """One row of the table. `check` raises Failure("invalid") for a value that is none."""

    key: str
    default: str
    meaning: str
    check: Callable[[str], object]


def _flag(text: str) -> bool:
    if text.upper() not in ("YES", "NO"):
        raise Failure("invalid", f"{text!r} is neither YES nor NO")
    return text.upper() == "YES"


def _relay(text: str) -> Relay:
    try:
        return Relay(text.strip().lower())
    except ValueError:
        words = ", ".join(each.value for each in Relay)
        raise Failure("invalid", f"{text!r} is none of {words}") from None


def _seconds(text: str) -> float:
    if not (text.isascii() and text.isdigit() and len(text) < 8):
        raise Failure("invalid", f"{text!r} is no number of seconds")
    return float(text)


def _addresses(key: str) -> Callable[[str], AddressList]:
    return lambda text: addresses.parse(text, key)


_TABLE = (
    NetworkSetting("ClientIPs", "", "addresses that need no password and may call anywhere", _addresses("ClientIPs")),
    NetworkSetting("LANIPs", "", "networks without a router in between; none: all private ones", _addresses("LANIPs")),
    NetworkSetting("LANAreClients", "NO", "process the listed LAN IPs as clients", _flag),
    NetworkSetting(
        "TrustedPeers",
        "",
        "gateways and servers that may call in without a password, whose word on a caller's identity counts, and who "
        "are told of identities",
        _addresses("TrustedPeers"),
    ),
    NetworkSetting("RelayToNonClients", "clients", "who may call other servers: nobody, clients, everybody", _relay),
    NetworkSetting(
        "StrangersPace", "10,1m", "calls that one unknown source may try where AcceptStrangers admits them", pace.parse
    ),
    NetworkSetting("BlockAfter", "50,10m", "failed logins that shut a source out; unlimited: never", pace.parse),
    NetworkSetting("BlockTime", "900", "for how many seconds it is shut out", _seconds),
)

NETWORK: Mapping[str, NetworkSetting] = {setting.key: setting for setting in _TABLE}


@dataclass(frozen=True, slots=True)
class Network:
    """The settings as they are now, ready to be asked."""

    clients: AddressList = field(default_factory=AddressList)
    lan: AddressList = field(default_factory=AddressList)
    trusted: AddressList = field(default_factory=AddressList)
    relay: Relay = Relay.CLIENTS
    strangers: tuple[Pace, ...] = ()
    block_after: tuple[Pace, ...] = ()
    block_time: float = 900.0

    def may_relay(self, destination: str, *, client: bool) -> bool:
        """Whether a request may go to the host `destination`, which is not ours. `client`: who sends it has proved an
        account, or comes from one of the Client IPs."""
        match self.relay:
            case Relay.EVERYBODY:
                return True
            case Relay.CLIENTS:
                return client
            case Relay.NOBODY:
                return client and (destination in self.clients or destination in self.trusted)


class NetworkSettings:
    """The settings in the store, and the `current` picture of them."""

    def __init__(self, store: Store, fixed: Fixed) -> None:
        self._store = store
        self.fixed = fixed
        self.current = self._picture()
        store.subscribe(self._changed)

    def text(self, key: str) -> str:
        """The value as it was written, else the default."""
        kept = self._store.image.settings.get(_SERVER, {}).get(key)
        return kept if isinstance(kept, str) else NETWORK[key].default

    def is_set(self, key: str) -> bool:
        return key in self._store.image.settings.get(_SERVER, {})

    async def set(self, key: str, value: str | None) -> None:
        """None goes back to the default. Raises Failure("not-found" | "invalid")."""
        row = known(key)
        if value is not None:
            row.check(value)
        await self._store.put_setting(_SERVER, row.key, value)

    def fixed_lines(self, key: str) -> Sequence[str]:
        """The lines of a list that come from the configuration file."""
        match key:
            case "ClientIPs" | "TrustedPeers":
                return [str(each) for each in self.fixed.trusted]
            case "LANIPs":
                return [str(each) for each in self.fixed.lan]
            case _:
                return ()

    def _changed(self, change: Change) -> None:
        if change.what == "setting" and change.key in NETWORK:
            self.current = self._picture()

    def _picture(self) -> Network:
        own, trusted = AddressList.of(self.fixed.lan), AddressList.of(self.fixed.trusted)
        lan = self._list("LANIPs") | own
        clients = self._list("ClientIPs") | trusted
        return Network(
            clients=clients | lan if _flag(self.text("LANAreClients")) else clients,
            lan=lan,
            trusted=self._list("TrustedPeers") | trusted,
            relay=_relay(self.text("RelayToNonClients")),
            strangers=pace.parse(self.text("StrangersPace")),
            block_after=pace.parse(self.text("BlockAfter")),
            block_time=_seconds(self.text("BlockTime")),
        )

    def _list(self, key: str) -> AddressList:
        return addresses.parse(self.text(key), key)


def known(key: str) -> NetworkSetting:
    """The row of `key`, whatever its case. Raises Failure("not-found") with a suggestion."""
    by_lower = {name.lower(): row for name, row in NETWORK.items()}
    row = by_lower.get(key.lower())
    if row is None:
        close = difflib.get_close_matches(key.lower(), by_lower, n=1)
        hint = f"did you mean {by_lower[close[0]].key}?" if close else f"known: {', '.join(NETWORK)}"
        raise Failure("not-found", f"there is no network setting {key}; {hint}")
    return row
