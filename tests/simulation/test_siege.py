"""The whole server among peers who send it valid messages that were changed in their parts: it answers once, has no
fault of its own, and keeps nothing of them.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, example, given, settings

from pbx.policy.policy import Policy
from pbx.sipcore.server_transaction import ServerTransaction
from tests.simulation.siege import SIEGES, Reply, Siege, Step, run

CALL = Step("alice", "INVITE", pause=3.0)
SLOW = [HealthCheck.too_slow]


def _hold(siege: Siege) -> None:
    faults = run(siege)
    assert not faults, "\n".join([str(siege), *faults])


@settings(max_examples=40, suppress_health_check=SLOW)
@given(SIEGES)
@example(Siege((CALL, Step("alice", "INFO", within=True), Step("bob", "UPDATE", within=True))))
@example(Siege((CALL, Step("bob", "REFER", within=True)), (Reply((183, 180, 200)),), proxied=True))
def test_changed_messages_harm_nobody(siege: Siege) -> None:
    _hold(siege)


@pytest.mark.proof
@pytest.mark.timeout(14_400)
@settings(max_examples=20_000, derandomize=False, suppress_health_check=SLOW)
@given(SIEGES)
def test_many_changed_messages_harm_nobody(siege: Siege) -> None:
    _hold(siege)


def test_a_fault_is_seen_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(policy: Policy, transaction: ServerTransaction) -> None:
        raise IndexError("a header that was not there")

    monkeypatch.setattr(Policy, "_options", failing)
    faults = run(Siege((Step("stranger", "OPTIONS"),)))
    assert any("a header that was not there" in fault for fault in faults), faults


def test_what_is_left_is_seen_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Policy, "_options", lambda policy, transaction: None)
    monkeypatch.setattr(ServerTransaction, "_end", lambda transaction: None)
    faults = run(Siege((Step("stranger", "OPTIONS"),)))
    assert any("server transactions" in fault for fault in faults), faults
