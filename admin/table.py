"""All acts of this server."""

from __future__ import annotations

from admin import (
    accounts,
    certificates,
    devices,
    domains,
    many_accounts,
    monitor,
    names,
    network,
    prompts,
    recordings,
    router,
    rules,
    settings,
    trunks,
    workarounds,
)
from admin.acts import Acts
from admin.configuration import acts as configuration
from admin.desk import Desk

ALL = (
    *accounts.ACTS,
    *many_accounts.ACTS,
    *names.ACTS,
    *domains.ACTS,
    *settings.ACTS,
    *network.ACTS,
    *prompts.ACTS,
    *monitor.ACTS,
    *certificates.ACTS,
    *router.ACTS,
    *rules.ACTS,
    *trunks.ACTS,
    *workarounds.ACTS,
    *configuration.ACTS,
    *devices.ACTS,
    *recordings.ACTS,
)


def all_acts(desk: Desk) -> Acts:
    """The table over this desk."""
    return Acts(desk, ALL)
