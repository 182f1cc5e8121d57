"""Whether a call of somebody who proved nothing is let in: only to an account or a group that wants it, never further.

The setting AcceptStrangers decides, and a pace for each source. Who is not let in hears the same 401 as for an address
that does not exist (decision 3's page in docs/decisions).
"""

from __future__ import annotations

from base.clock import Clock
from base.metrics import Metrics
from directory.addresses import source_of
from directory.model import AccountRoute, GroupRoute, Resolution
from pbx.policy.ports import Directory
from pbx.policy.tally import Tally


class Strangers:
    """Counts what each unknown source tries."""

    def __init__(self, clock: Clock, metrics: Metrics, directory: Directory) -> None:
        self._metrics = metrics
        self._directory = directory
        self._tries: Tally[str] = Tally(clock)

    def wanted(self, resolution: Resolution, domain: str) -> bool:
        """Whether who is called takes calls of strangers. Programs and what they do for accounts are for others."""
        match resolution.route:
            case AccountRoute(account):
                return self._directory.setting(account.id, "AcceptStrangers") == "YES"
            case GroupRoute():
                return self._directory.domain_setting(domain, "AcceptStrangers") == "YES"
            case _:
                return False

    def too_many(self, host: str) -> bool:
        """Count one more call from there; True when it is one too many."""
        passed = self._tries.passes(source_of(host), self._directory.network.strangers)
        self._metrics.count("sip.strangers.refused" if passed else "sip.strangers.admitted")
        return passed
