"""Where rooms that must not know each other meet: the mailbox and the lamp on the telephone.

Only translation; no decision is taken here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from directory.directory import Change as DirectoryChange
from directory.directory import Directory
from mail.store import Change, MailStore
from mail.store.feed import Subscription
from pbx.registrar.bindings import Bindings
from pbx.transport.stack import SipStack


def lamp(store: MailStore, changed: Callable[[int], None]) -> Subscription:
    """Tell the telephones (message-waiting) when an account's voice messages change (decision 20)."""

    def take_note(change: Change) -> None:
        if change.voice:
            changed(change.account_id)

    return store.feed.subscribe(None, take_note)


def surroundings(directory: Directory, stack: SipStack) -> Callable[[], None]:
    """Keep the SIP stack's picture of what is inside true when LAN IPs change. Returns what ends it."""

    def take_note(change: DirectoryChange) -> None:
        if change.what == "setting" and change.key == "LANIPs":
            stack.surroundings = replace(stack.surroundings, lan=directory.network.lan.networks())

    take_note(DirectoryChange("setting", key="LANIPs"))
    return directory.subscribe(take_note)


def admission(directory: Directory, bindings: Bindings, stack: SipStack) -> None:
    """Whom the SIP stack prefers when there is more than can be done."""
    stack.preferences.emergency = directory.is_emergency
    stack.preferences.registered = bindings.has_flow


def peers(directory: Directory, stack: SipStack) -> None:
    """Which addresses on this machine or link may be called: those that the administrator has named."""
    stack.know_peers(lambda host: host in directory.network.clients or host in directory.network.trusted)


def locks(directory: Directory, forget: Callable[[int], None]) -> Callable[[], None]:
    """Tell the toll guard when an account's lock was set or lifted, or the account is gone. Returns what ends it."""

    def take_note(change: DirectoryChange) -> None:
        lock = change.what == "setting" and change.key == "CallOutLocked"
        if (lock or change.what == "removed") and change.account_id is not None:
            forget(change.account_id)

    return directory.subscribe(take_note)


def passwords(directory: Directory, changed: Callable[[int], None]) -> Callable[[], None]:
    """Tell of each account that gets another password. Returns what ends it."""

    def take_note(change: DirectoryChange) -> None:
        if change.what == "secret" and change.key == "password" and change.account_id is not None:
            changed(change.account_id)

    return directory.subscribe(take_note)


def services(directory: Directory, ended: Callable[[int], None]) -> Callable[[], None]:
    """Tell of each account whose telephones were switched off at the account itself. Returns what ends it."""

    def take_note(change: DirectoryChange) -> None:
        account_id = change.account_id if change.what == "setting" and change.key == "AccessModes" else None
        if account_id is not None and not directory.allows(account_id, "Signal"):
            ended(account_id)

    return directory.subscribe(take_note)


def watchers(
    directory: Directory,
    review: Callable[[int | None], None],
    gone: Callable[[int], None],
) -> Callable[[], None]:
    """Tell the event packages when an account is removed, or who may watch it was changed. Returns what ends it."""

    def take_note(change: DirectoryChange) -> None:
        if change.what == "setting" and change.key == "WatchedBy":
            review(change.account_id)
        elif change.what == "removed" and change.account_id is not None:
            gone(change.account_id)

    return directory.subscribe(take_note)
