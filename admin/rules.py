"""Acts on the free rules of calls of an account, a domain, or the server. All rules of an owner change at once."""

from __future__ import annotations

from admin.acts import Act, Arguments, Parameter, Type
from admin.desk import Desk
from admin.owners import OWNER, Owner, owner, owner_to_change
from admin.ports import Json
from base.failures import Failure
from base.values.kinds import Value
from base.values.text import ValueTextError, format_value, parse_value
from directory.model import Right
from directory.rules.words import typed


def _stored(desk: Desk, of: Owner) -> list[Value]:
    found = desk.directory.rules(account_id=of.account_id, domain=of.domain)
    return found if isinstance(found, list) else []


async def _store(desk: Desk, of: Owner, rules: list[Value]) -> Json:
    await desk.directory.set_rules(rules, account_id=of.account_id, domain=of.domain)
    return _shown(rules)


def _shown(rules: list[Value]) -> Json:
    return {
        "text": "(\n" + ",\n".join(f"  {format_value(rule)}" for rule in rules) + "\n)" if rules else "()",
        "count": len(rules),
    }


async def _show(desk: Desk, arguments: Arguments) -> Json:
    return _shown(_stored(desk, owner(desk, arguments)))


async def _set(desk: Desk, arguments: Arguments) -> Json:
    try:
        value = parse_value(arguments.text("text").strip() or "()")
    except ValueTextError as error:
        raise Failure("invalid", f"line {error.line}, column {error.column}: {error.message}") from error
    if not isinstance(value, list):
        raise Failure("invalid", "rules are a list: ( (number, name, (conditions), (actions)), … )")
    return await _store(desk, owner_to_change(desk, arguments), value)


async def _add(desk: Desk, arguments: Arguments) -> Json:
    name, of = arguments.text("name"), owner_to_change(desk, arguments)
    priority = arguments.number("priority", 5)
    new = typed(name, arguments.text("when"), priority, arguments.list("conditions"), arguments.list("actions"))
    async with desk.changing:
        rules = [rule for rule in _stored(desk, of) if not _named(rule, name)]
        return await _store(desk, of, [*rules, new])


async def _remove(desk: Desk, arguments: Arguments) -> Json:
    name, of = arguments.text("name"), owner_to_change(desk, arguments)
    async with desk.changing:
        before = _stored(desk, of)
        rules = [rule for rule in before if not _named(rule, name)]
        if len(rules) == len(before):
            raise Failure("not-found", f"there is no rule {name}")
        return await _store(desk, of, rules)


def _named(rule: Value, name: str) -> bool:
    return isinstance(rule, list) and len(rule) > 1 and rule[1] == name


ACTS = (
    Act("rule.show", "the free rules of an account, a domain or the server", Right.USERS, _show, OWNER, Right.DOMAIN),
    Act("rule.set", "other rules, all of them or none", Right.USERS, _set, (*OWNER, Parameter("text")), Right.DOMAIN),
    Act(
        "rule.add",
        "one more rule, or another one of that name",
        Right.USERS,
        _add,
        (
            *OWNER,
            Parameter("name"),
            Parameter("when"),
            Parameter("priority", Type.NUMBER, required=False),
            Parameter("conditions", Type.LIST, required=False),
            Parameter("actions", Type.LIST),
        ),
        Right.DOMAIN,
    ),
    Act("rule.remove", "take a rule out", Right.USERS, _remove, (*OWNER, Parameter("name")), Right.DOMAIN),
)
