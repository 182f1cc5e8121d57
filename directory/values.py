"""The values of settings: of an account, its domain, the server, and then in the table.

What a setting is, `settings.py` tells. Programs keep keys of their own here, groups how they ring.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from base.failures import Failure
from base.values.kinds import Dictionary, Value
from base.values.text import format_value, parse_value
from directory import settings
from directory.image import Owner
from directory.rules.book import RULES
from directory.rules.rule import read_rules
from directory.store import Store

Level = Literal["account", "domain", "server", "default"]
SERVER: Owner = ("server", 0)


@dataclass(frozen=True, slots=True)
class Found:
    """A value, and where it comes from."""

    value: Value
    level: Level


class Values:
    """Over the store. `domain` is a name as `Directory.local_domain` gave it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._image = store.image

    def of_domain(self, domain: str) -> Owner:
        """0 is a domain that has no values: one that ended this instant."""
        return ("domain", self._image.domain_ids.get(domain, 0))

    def found(self, key: str, *owners: Owner) -> Found:
        """At the first of the owners that has it, else the default; None for what nobody knows."""
        for owner in owners:
            values = self._image.settings.get(owner)
            if values is not None and key in values:
                return Found(_copy(values[key]), _LEVELS[owner[0]])
        return Found(settings.default(key), "default")

    def own(self, owner: Owner) -> dict[str, Value]:
        """What is set there itself: rules and other things that are no settings for people are among it."""
        return {key: _copy(value) for key, value in self._image.settings.get(owner, {}).items()}

    async def put(self, owner: Owner, key: str, value: Value) -> None:
        """None goes back to what is inherited. Raises Failure("invalid")."""
        if key == "PIN":
            raise Failure("invalid", "a PIN belongs to one account")
        if key == RULES:
            read_rules(value)
        await self._store.put_setting(owner, key, settings.checked(key, value))


_LEVELS: dict[str, Level] = {"account": "account", "domain": "domain", "server": "server"}


def _copy(value: Value) -> Value:
    """Lists and dictionaries are copied: a program may change what it was given."""
    return parse_value(format_value(value)) if isinstance(value, list | Dictionary) else value
