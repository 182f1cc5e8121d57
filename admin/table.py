"""All acts of this server."""

from __future__ import annotations

from admin import accounts, certificates, domains, monitor, prompts, router, settings, workarounds
from admin.acts import Acts, Desk

ALL = (
    *accounts.ACTS,
    *domains.ACTS,
    *settings.ACTS,
    *prompts.ACTS,
    *monitor.ACTS,
    *certificates.ACTS,
    *router.ACTS,
    *workarounds.ACTS,
)


def all_acts(desk: Desk) -> Acts:
    """The table over this desk."""
    return Acts(desk, ALL)
