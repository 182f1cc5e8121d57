"""What is configured, as plain values: what a tree of files says, and what a server has. Pure.

Names are as the directory keeps them, in lower case. Secrets are apart, so that a tree can be shown to anybody.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from admin.ports import FilePlace
from base.values.kinds import Value
from directory.model import Ring
from pbx.trunk.model import Trunk

Settings = dict[str, Value]


@dataclass(slots=True)
class AccountState:
    """`rules` is the list of free rules in its textual form; empty when there are none."""

    real_name: str = ""
    aliases: tuple[str, ...] = ()
    settings: Settings = field(default_factory=dict)
    rules: str = ""
    telnums: tuple[str, ...] = ()
    rights: tuple[str, ...] = ()


@dataclass(slots=True)
class DomainState:
    """`rings`: groups that do not ring as groups do by default."""

    aliases: tuple[str, ...] = ()
    settings: Settings = field(default_factory=dict)
    rules: str = ""
    accounts: dict[str, AccountState] = field(default_factory=dict)
    groups: dict[str, tuple[str, ...]] = field(default_factory=dict)
    rings: dict[str, Ring] = field(default_factory=dict)
    forwarders: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Secrets:
    """By address of the account, and by name of the trunk."""

    passwords: dict[str, str] = field(default_factory=dict)
    pins: dict[str, str] = field(default_factory=dict)
    trunks: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class State:
    """`workarounds`: who and what, to whether it is done (false switches a stock row off) and a remark."""

    main_domain: str = ""
    settings: Settings = field(default_factory=dict)
    network: dict[str, str] = field(default_factory=dict)
    rules: str = ""
    router: str = ""
    domains: dict[str, DomainState] = field(default_factory=dict)
    trunks: dict[str, Trunk] = field(default_factory=dict)
    workarounds: dict[tuple[str, str], tuple[bool, str]] = field(default_factory=dict)
    files: Mapping[FilePlace, bytes] = field(default_factory=dict)
    secrets: Secrets = field(default_factory=Secrets)

    def addresses(self) -> dict[str, AccountState]:
        """All accounts by `name@domain`."""
        return {
            f"{name}@{domain}": account for domain, of in self.domains.items() for name, account in of.accounts.items()
        }
