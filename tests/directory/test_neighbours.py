"""Domains of one server that never meet: what is dialled in one leads to nothing of another."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from directory.model import (
    PARK,
    PICKUP,
    AccountRoute,
    Address,
    Caller,
    GroupRoute,
    ProgramRoute,
    Resolution,
    UnknownRoute,
)
from tests.directory.town import MAIN, OURS, THEIRS, Town
from tests.directory.town import town as a_town


@pytest.fixture(scope="module")
def quiet() -> Iterator[Town]:
    """A town in which nobody changes anything."""
    with asyncio.Runner() as runner:
        made = a_town()
        yield runner.run(made.__aenter__())
        runner.run(made.__aexit__(None, None, None))


def foreign_parts(resolution: Resolution) -> list[str]:
    """What of the way is another domain's."""
    match resolution.route:
        case AccountRoute(account=found):
            return [found.domain] if found.domain != OURS else []
        case ProgramRoute(program, parameters, found):
            named = [each.rpartition("@")[2] for each in parameters] if program == PICKUP else []
            named += [parameters[0]] if program == PARK else []
            return [domain for domain in (found.domain, *named) if domain != OURS]
        case GroupRoute(domain=domain):
            return [domain] if domain != OURS else []
        case _:
            return []


NUMBERS = """
    201 202 200 anna otto team desk pbx operator 0 600 echo *43 700 701 720 park+701 705 799 *98 *97 *65 *69 *8 **202
    *202 *99202 *72202 *67202 #pbx voicemail#otto service#202 conference
"""
DIALLED = st.one_of(
    st.sampled_from(NUMBERS.split()),
    st.from_regex(r"[*#]{0,2}[0-9]{1,6}#?", fullmatch=True),
)


@settings(max_examples=100)
@given(DIALLED, st.booleans())
def test_what_is_dialled_at_home_stays_there(quiet: Town, local: str, services: bool) -> None:
    found = quiet.directory.resolve(Address(local, OURS), caller=quiet.caller(), services=services)
    beyond = foreign_parts(found)
    # A group may name whom it likes: those are called as by anybody, and picked up by the rules of WatchedBy.
    assert beyond in ([], [THEIRS]) if local == "*8" else not beyond, (local, found)


@pytest.mark.parametrize("program", ["voicemail", "service{98}", "pbx"])
@pytest.mark.parametrize("whose", [f"otto@{THEIRS}", f"pbx@{MAIN}"])
async def test_no_rule_and_no_forwarder_starts_a_program_of_another_domain(
    town: Town, program: str, whose: str
) -> None:
    directory = town.directory
    anna = town.account("anna")
    await directory.create_forwarder(OURS, "sly", f"{program}#{whose}")
    dialled = directory.resolve(Address("sly", OURS), caller=town.caller())
    by_rule = directory.resolve_target(f"{program}#{whose}", anna)
    for found in (dialled, by_rule):
        assert isinstance(found.route, UnknownRoute)
        assert found.steps[-1] == f"{OURS} starts no program of {whose.partition('@')[2]}"
    own = directory.resolve_target(f"{program}#otto", anna).route
    assert isinstance(own, ProgramRoute)
    await directory.set_router(f"<shared@{OURS}> = {program}#{whose}\n")
    shared = directory.resolve(Address("shared", OURS), caller=town.caller()).route
    assert isinstance(shared, ProgramRoute)
    assert shared.account.address == whose, "the server's administrator may share one"


async def test_without_a_centre_the_echo_and_the_lot_are_there_for_the_own_people(town: Town) -> None:
    directory = town.directory
    for local in ("600", "700"):
        route = directory.resolve(Address(local, OURS), caller=town.caller()).route
        assert isinstance(route, ProgramRoute)
        assert route.account.address == f"anna@{OURS}"
        stranger = directory.resolve(Address(local, OURS), caller=Caller("sip:x@far.test"))
        assert isinstance(stranger.route, UnknownRoute)
        assert stranger.steps[-1] == f"there is no account pbx in {OURS}"
    assert isinstance(directory.resolve(Address("0", OURS), caller=town.caller()).route, UnknownRoute)
