"""The members of a group in their turns: who rings at once, and what is done later. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from directory.model import CallRule, Fork, GroupRoute, Redirect, RingOrder, Stage


def turns(route: GroupRoute) -> tuple[Sequence[str], list[CallRule]]:
    """Whom to ring now, and the timed rules for the rest. Who is busy or has no telephone is not waited for: the Signal
    applies the next rule when nothing rings."""
    members, ring = [str(member) for member in route.members], route.ring
    first, rest = (members, []) if ring.order is RingOrder.ALL else (members[:1], members[1:])
    action = Redirect if ring.order is RingOrder.HUNT else Fork
    steps: list[Fork | Redirect] = [action((member,)) for member in rest]
    if ring.then:
        steps.append(Redirect((ring.then,)))
    return first, [CallRule(Stage.AFTER, step, float(ring.step * turn)) for turn, step in enumerate(steps, 1)]
