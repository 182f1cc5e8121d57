"""What the README and the pages say can be followed: links lead somewhere, commands are understood, settings exist."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
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
    for line in commands(page.read_text("utf-8")):
        words = shlex.split(line, comments=True)
        _understand(typer.main.get_command(app), words[1:], line)


def commands(text: str) -> Iterator[str]:
    """Command lines of code blocks and of running text."""
    blocks = [line.removeprefix("$ ").strip() for block in _FENCE.findall(text) for line in block.splitlines()]
    for line in [*blocks, *_INLINE.findall(_FENCE.sub("", text))]:
        if re.match(r"(?:\S*/)?tandem [a-z-]", line) and "…" not in line and "..." not in line:
            yield line


def _understand(command: click.Command, words: list[str], line: str) -> None:
    if isinstance(command, click.Group):
        context = command.make_context("tandem", list(words), resilient_parsing=True)
        name, inner, rest = command.resolve_command(context, _rest(command, words))
        assert inner is not None, line
        if name in _PASSED_ON:
            inner = typer.main.get_command(_PASSED_ON[name])
        _understand(inner, rest, line)
        return
    try:
        command.make_context(command.name or "", list(words))
    except click.exceptions.Exit:
        pass  # --help
    except click.BadParameter as error:
        if "does not exist" not in error.message:  # the file that the page speaks of
            raise AssertionError(f"{line}: {error.message}") from error
    except click.UsageError as error:
        raise AssertionError(f"{line}: {error.message}") from error


def _rest(command: click.Command, words: list[str]) -> list[str]:
    """The words from the name of the subcommand on."""
    for index, word in enumerate(words):
        if not word.startswith("-"):
            return words[index:]
    return words


@each([page for page in PAGES if page.name != "rfc.md"])
def test_settings_that_are_set_exist(page: Path) -> None:
    for line in commands(page.read_text("utf-8")):
        words = shlex.split(line, comments=True)
        if words[1:3] in (["setting", "set"], ["setting", "get"]) and len(words) > 4 and words[4][0] != "-":
            assert words[4] in SETTINGS, line
