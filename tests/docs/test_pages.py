"""What the README and the pages say can be followed: links lead somewhere, commands are understood, settings exist."""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from cgpl import command as language
from directory.settings import SETTINGS
from server.command import app
from tools import phone_command

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "gateways").rglob("*.md"))]
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^```\w*\n(.*?)^```", re.DOTALL | re.MULTILINE)
_INLINE = re.compile(r"`((?:\.venv/bin/)?tandem [^`]+)`")
# Commands that are passed on to command lines of their own.
_PASSED_ON = {"cgpl": language.app, "phone": phone_command.app}

WrongUse: type[BaseException] = typer.BadParameter.__bases__[0]  # UsageError, which typer keeps to itself


def each(pages: list[Path] = PAGES) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("page", pages, ids=lambda page: str(page.relative_to(ROOT)))


@each()
def test_links_lead_somewhere(page: Path) -> None:
    for target in _LINK.findall(page.read_text("utf-8")):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), f"{page.name} points to {target}"
        if anchor:
            assert anchor in _anchors(found), f"{page.name} points to {target}"


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@each()
def test_commands_are_understood(page: Path) -> None:
    text = page.read_text("utf-8")
    mentions = set(_INLINE.findall(_FENCE.sub("", text)))
    for line in commands(text):
        words = list(itertools.takewhile(lambda word: word not in (">", "|", "&&"), shlex.split(line, comments=True)))
        _understand(typer.main.get_command(app), words[1:], line, line in mentions)


def commands(text: str) -> Iterator[str]:
    """Command lines of code blocks and of running text."""
    blocks = [line.removeprefix("$ ").strip() for block in _FENCE.findall(text) for line in block.splitlines()]
    for line in [*blocks, *_INLINE.findall(_FENCE.sub("", text))]:
        if re.match(r"(?:\S*/)?tandem [a-z-]", line) and "…" not in line and "..." not in line:
            yield line


def _understand(command: Any, words: list[str], line: str, mention: bool = False) -> None:
    """Parse as the command line would, without running anything. Running text may mention a command by name alone."""
    if mention and not words:
        return
    commands = getattr(command, "commands", None)
    if commands is not None and (rest := _rest(command, words)):
        name, *arguments = rest
        assert name in commands, line
        inner = typer.main.get_command(_PASSED_ON[name]) if name in _PASSED_ON else commands[name]
        _understand(inner, arguments, line, mention)
        return
    try:
        command.make_context(command.name or "tandem", list(words))
    except typer.Exit:
        pass  # --help, --version
    except WrongUse as error:
        if "does not exist" not in str(error):  # the file that the page speaks of
            raise AssertionError(f"{line}: {error}") from error


def _rest(command: Any, words: list[str]) -> list[str]:
    """The words from the name of the subcommand on."""
    valued = {name for each in command.params if not getattr(each, "is_flag", True) for name in each.opts}
    while words and words[0].startswith("-"):
        words = words[2 if words[0] in valued else 1 :]
    return words


def test_a_wrong_command_would_be_found() -> None:
    for line in ("tandem acount list", "tandem account add", "tandem calls --limmit 3", "tandem cgpl chek x"):
        with pytest.raises(AssertionError, match="tandem"):
            _understand(typer.main.get_command(app), line.split()[1:], line)


@each([page for page in PAGES if page.name != "rfc.md"])
def test_settings_that_are_set_exist(page: Path) -> None:
    for line in commands(page.read_text("utf-8")):
        words = list(itertools.takewhile(lambda word: word not in (">", "|", "&&"), shlex.split(line, comments=True)))
        if words[1:3] in (["setting", "set"], ["setting", "get"]) and len(words) > 4 and words[4][0] != "-":
            assert words[4] in SETTINGS, line


@each()
def test_files_that_are_named_exist(page: Path) -> None:
    named = re.findall(  # but mail/3 and mail/ID.db: these are in the data folder
        r"`(?!mail/(?:\d|ID))((?:base|directory|pbx|mail|cgpl|admin|apps|server|tools|tests|examples)/[\w/.-]+)`",
        page.read_text("utf-8"),
    )
    for name in named:
        assert (ROOT / name).exists(), f"{page.name} names {name}"
