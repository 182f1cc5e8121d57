"""The rules that are stored, read once and kept until they change; put together for one call.

Storing them is the directory's business, which knows the owners.
"""

from __future__ import annotations

from base.values.kinds import Value
from directory.image import Image, Owner
from directory.model import CallRule
from directory.rules.control import Setting, control_rules
from directory.rules.occasion import Occasion, local_time
from directory.rules.order import in_order
from directory.rules.rule import Rule, read_rules

RULES = "SignalRules"
"""The setting that holds them; the doors for settings do not show it."""


class RuleBook:
    """Over the directory's image."""

    def __init__(self, image: Image) -> None:
        self._image = image
        self._read: dict[Owner, tuple[Value, tuple[Rule, ...]]] = {}

    def call_rules(self, account_id: int, domain_id: int, setting: Setting, occasion: Occasion) -> tuple[CallRule, ...]:
        """`setting` gives the account's values with inheritance."""
        moment = local_time(occasion.wall, str(setting("TimeZone") or ""))
        control = control_rules(setting, occasion, moment)
        server, domain, own = (
            self._of(("server", 0)),
            self._of(("domain", domain_id)),
            self._of(("account", account_id)),
        )
        if not (server or domain or own):
            return control
        return in_order(server, domain, own, control, occasion, moment)

    def _of(self, owner: Owner) -> tuple[Rule, ...]:
        stored = self._image.settings.get(owner, {}).get(RULES)
        if stored is None:
            self._read.pop(owner, None)
            return ()
        known = self._read.get(owner)
        if known is None or known[0] is not stored:
            known = self._read[owner] = (stored, read_rules(stored))
        return known[1]
