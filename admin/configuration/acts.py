"""Acts on the whole configuration. A tree of files is a mapping of paths to octets in base64."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import asdict

from admin.acts import Act, Arguments, Parameter, Type
from admin.configuration.configuration import Configuration
from admin.desk import Desk
from admin.ports import Json
from base.failures import Failure
from directory.model import Right


def _configuration(desk: Desk) -> Configuration:
    if desk.configuration is None:
        raise Failure("unavailable", "this server cannot be configured as a whole")
    return desk.configuration


def _files(arguments: Arguments) -> dict[str, bytes]:
    try:
        return {path: base64.b64decode(text, validate=True) for path, text in arguments.texts("files").items()}
    except (binascii.Error, ValueError):
        raise Failure("invalid", "the files of a tree are octets in base64") from None


async def _export(desk: Desk, arguments: Arguments) -> Json:
    files = await _configuration(desk).export(secrets=arguments.flag("secrets"))
    return {path: base64.b64encode(content).decode() for path, content in files.items()}


async def _plan(desk: Desk, arguments: Arguments) -> Json:
    return _shown(asdict(await _configuration(desk).plan(_files(arguments))))


async def _apply(desk: Desk, arguments: Arguments) -> Json:
    plan = await _configuration(desk).apply(_files(arguments), removing=arguments.flag("removing"))
    return _shown(asdict(plan))


def _shown(plan: Mapping[str, Json]) -> Json:
    return dict(plan)


_FILES = Parameter("files", Type.TEXTS, secret=True)

ACTS = (
    Act(
        "configuration.export",
        "the whole configuration as a tree of files",
        Right.MASTER,
        _export,
        (Parameter("secrets", Type.FLAG, required=False),),
    ),
    Act("configuration.plan", "what a tree would change; nothing is changed", Right.MASTER, _plan, (_FILES,)),
    Act(
        "configuration.apply",
        "take a tree: all of it, or nothing",
        Right.MASTER,
        _apply,
        (_FILES, Parameter("removing", Type.FLAG, required=False)),
    ),
)
