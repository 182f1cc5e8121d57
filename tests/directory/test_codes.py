"""Service codes that extensions may begin with, and the one that hides who calls."""

from __future__ import annotations

from directory.model import AccountRoute, Address, ProgramRoute, UnknownRoute
from tests.directory.town import MAIN, OURS, Town


async def test_67_and_870_are_codes_unless_an_extension_begins_so(town: Town) -> None:
    directory = town.directory
    anna, otto, who = town.account("anna", MAIN), town.account("otto", MAIN), town.caller(MAIN)
    for code, number, route in (
        ("*67202", "67202", AccountRoute(otto)),
        ("*870", "870", ProgramRoute("service", ("870",), anna)),
    ):
        before = directory.resolve(Address(code, MAIN), caller=who, hides=True)
        assert (before.route, before.hidden) == (route, code == "*67202")
        await directory.add_alias(otto.id, number)
        after = directory.resolve(Address(code, MAIN), caller=who, hides=True)
        assert (after.route, after.hidden) == (ProgramRoute("voicemail", (), otto), False)


async def test_where_nobody_can_hide_the_caller_the_code_leads_nowhere(town: Town) -> None:
    directory = town.directory
    anna = town.account("anna")
    for found in (directory.resolve_target("*67202", anna), directory.resolve(Address("*67202", OURS), caller=None)):
        assert isinstance(found.route, UnknownRoute)
        assert found.steps[-1] == "only who dials it is hidden by it"
