"""Families of telephones as data: a folder each, with `family.toml` and the templates of its files.

A family is the files that its telephones ask for, by patterns of their paths, and the text of each as a Jinja2 template
over `Facts`. Adding one needs no code.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from base.failures import Failure
from gateways.provisioning.model import Facts

_FOLDER = Path(__file__).parent.parent / "families"
_PLACES = {"{mac}": "(?P<mac>[0-9A-Fa-f]{12})", "{any}": "[0-9A-Za-z._-]{1,40}"}
_CONTROL = dict.fromkeys((*range(32), 127))


@dataclass(frozen=True, slots=True)
class File:
    """One file that telephones of a family ask for. `public`: it says nothing of anybody, and is for all of them."""

    path: str
    pattern: re.Pattern[str]
    template: str
    content_type: str
    public: bool


@dataclass(frozen=True, slots=True)
class Family:
    """`makers`: beginnings of MAC addresses; `agents`: words of its User-Agents, in lower case; `path`: the file that a
    provisioning URL names, with `{mac}`; `resync`: the event that makes it ask again (NOTIFY); `link`: how an app is
    told its URL (`{url}`), for families that are apps: those have no MAC address."""

    name: str
    title: str
    makers: tuple[str, ...]
    agents: tuple[str, ...]
    path: str
    resync: str
    link: str
    files: tuple[File, ...]

    def file(self, path: str) -> tuple[File, str] | None:
        """The file of that path, and the MAC address in it (empty when there is none)."""
        for file in self.files:
            match = file.pattern.fullmatch(path)
            if match is not None:
                return file, (match.groupdict().get("mac") or "").lower()
        return None

    def write(self, file: File, facts: Facts) -> bytes:
        """The file for one telephone."""
        template = _templates().get_template(f"{self.name}/{file.template}")
        return template.render(facts=facts, **{name: getattr(facts, name) for name in facts.__slots__}).encode()

    def plain(self, file: File) -> bytes:
        """A public file: it says nothing of anybody."""
        return _templates().get_template(f"{self.name}/{file.template}").render().encode()


@lru_cache(maxsize=1)
def families() -> Mapping[str, Family]:
    """All families, by name."""
    found = [_read(folder) for folder in sorted(_FOLDER.iterdir()) if (folder / "family.toml").is_file()]
    return {family.name: family for family in found}


def family_of(name: str) -> Family:
    """Raises Failure("not-found")."""
    found = families().get(name.lower())
    if found is None:
        raise Failure("not-found", f"there is no family {name} of telephones; there are {', '.join(families())}")
    return found


def guessed(mac: str, agent: str = "") -> Family | None:
    """The family by the maker's part of the MAC address, or by the User-Agent."""
    for family in families().values():
        if mac.startswith(family.makers) or any(word in agent.lower() for word in family.agents):
            return family
    return None


def _read(folder: Path) -> Family:
    data = tomllib.loads((folder / "family.toml").read_text("utf-8"))
    files = tuple(
        File(
            each["path"],
            _pattern(each["path"]),
            each["template"],
            each.get("type", "text/plain"),
            each.get("public", False),
        )
        for each in data["file"]
    )
    makers, agents = tuple(data["makers"]), tuple(data["agents"])
    return Family(folder.name, data["title"], makers, agents, data["path"], data["resync"], data.get("link", ""), files)


def _pattern(path: str) -> re.Pattern[str]:
    parts = re.split(r"(\{mac\}|\{any\})", path)
    return re.compile("".join(_PLACES.get(part, re.escape(part)) for part in parts), re.IGNORECASE)


@lru_cache(maxsize=1)
def _templates() -> Environment:
    """XML is escaped; in files of lines no value can begin another line."""
    return Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=lambda name: name is not None and name.endswith(".xml"),
        undefined=StrictUndefined,
        finalize=_plain,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _plain(value: object) -> object:
    return value.translate(_CONTROL) if isinstance(value, str) and not hasattr(value, "__html__") else value
