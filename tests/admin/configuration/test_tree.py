"""What is written as a tree is read as it was."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from admin.configuration import tree
from admin.configuration.reading import read
from admin.configuration.state import AccountState, DomainState, Secrets, State
from admin.ports import FilePlace
from base.failures import Failure
from base.values.kinds import TimeStamp, Value
from directory.model import Ring, RingOrder
from pbx.trunk.model import Trunk

NAME = st.from_regex(r"[a-z0-9]([a-z0-9._-]{0,10}[a-z0-9])?", fullmatch=True)
DOMAIN_NAME = st.from_regex(r"[a-z]{1,8}\.test", fullmatch=True)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20).map(lambda text: text.replace("\r", ""))
VALUE: st.SearchStrategy[Value] = st.one_of(
    TEXT,
    st.integers(-(2**62), 2**62),
    st.lists(TEXT, max_size=4),
    st.binary(max_size=8),
    st.builds(TimeStamp, st.integers(0, 2**31)),
    st.lists(st.one_of(TEXT, st.integers(0, 9), st.lists(TEXT, max_size=2)), max_size=3),
)
SETTINGS = st.dictionaries(st.text("abcXYZ09 .$-", min_size=1, max_size=12), VALUE, max_size=4)
NAMES = st.lists(NAME, max_size=3, unique=True).map(tuple)
ACCOUNT = st.builds(AccountState, TEXT, NAMES, SETTINGS, TEXT, NAMES, NAMES)
RING = st.builds(Ring, st.sampled_from(RingOrder), st.integers(1, 600), TEXT).filter(lambda ring: ring != Ring())
DOMAIN = st.builds(
    lambda of, rings: replace(of, rings={name: ring for name, ring in rings.items() if name in of.groups}),
    st.builds(
        DomainState,
        aliases=NAMES.map(lambda names: tuple(sorted(names))),
        settings=SETTINGS,
        rules=TEXT,
        accounts=st.dictionaries(NAME, ACCOUNT, max_size=3),
        groups=st.dictionaries(st.sampled_from(["sales", "help"]), NAMES, max_size=2),
        forwarders=st.dictionaries(NAME, TEXT, max_size=2),
    ),
    st.dictionaries(st.sampled_from(["sales", "help"]), RING, max_size=2),
)
TRUNK = st.builds(
    Trunk,
    NAME,
    NAME,
    TEXT,
    registers=st.booleans(),
    expires=st.integers(60, 3600),
    target=TEXT,
    options=st.integers(0, 3600),
)
PLACE = st.builds(FilePlace, st.sampled_from(["", "main.test"]), st.sampled_from(["", "french"]), NAME)
STATE = st.builds(
    State,
    st.just("main.test"),
    SETTINGS,
    st.dictionaries(st.sampled_from(["ClientIPs", "LANIPs"]), TEXT),
    TEXT,
    TEXT,
    st.tuples(DOMAIN, st.dictionaries(DOMAIN_NAME, DOMAIN, max_size=2)).map(lambda of: {**of[1], "main.test": of[0]}),
    st.lists(TRUNK, max_size=2).map(lambda trunks: {trunk.name: trunk for trunk in trunks}),
    st.dictionaries(st.tuples(TEXT, TEXT), st.tuples(st.booleans(), TEXT), max_size=2),
    st.dictionaries(PLACE, st.binary(min_size=1, max_size=4), max_size=3),
    st.builds(Secrets, st.dictionaries(NAME, TEXT, max_size=2), st.just({}), st.dictionaries(NAME, TEXT, max_size=2)),
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(STATE)
def test_a_state_is_read_as_it_was_written(state: State) -> None:
    files = tree.write(state)
    assert read(files) == state
    assert tree.write(read(files)) == files


@given(st.dictionaries(st.sampled_from(["server.toml", "router.txt", "trunks/x.toml"]), st.binary(max_size=80)))
def test_octets_of_any_kind_are_read_or_refused(files: dict[str, bytes]) -> None:
    with contextlib.suppress(Failure):
        read({"domains/a.test/domain.toml": b"", **files})


@pytest.mark.parametrize(
    ("path", "content", "fault"),
    [
        ("server.toml", b"main_domain = 5\n", "server.toml:1: main_domain must be a text in quotes"),
        ("server.toml", b'main_domain = "b.test"\n', "main_domain: there is no domains/b.test/domain.toml"),
        ("server.toml", b'main_domain = "a.test"\n\n[setings]\n', "setings is not known here; did you mean settings?"),
        ("server.toml", b'main_domain = "a.test\n', "server.toml:1: "),
        ("server.toml", b'main_domain = "a.test"\n[settings]\nX = 1.5\n', "server.toml:3: [settings] X must be a text"),
        ("server.toml", b"[settings]\nX = 0x1" + 16 * b"0", "server.toml:2: [settings] X does not fit into 64 bits"),
        ("server.toml", b"x = " + 5000 * b"1", "server.toml: has a number that does not fit into 64 bits"),
        ("router.text", b"", "router.text: is no file of a configuration; did you mean router.txt?"),
        ("trunks/x.toml", b'domain = "c.test"\nexpires = "60"\n', "trunks/x.toml:2: expires must be a number"),
        ("domains/a.test/accounts/alcie.rules.txt", b"()", "there is no domains/a.test/accounts/alcie.toml beside it"),
        ("domains/b.test/rules.txt", b"()", "there is no domains/b.test/domain.toml beside it"),
        ("rules.txt", b"(\n\xff)", "rules.txt:2: is not in UTF-8"),
    ],
)
def test_a_fault_has_its_file_and_line(path: str, content: bytes, fault: str) -> None:
    files = {"server.toml": b'main_domain = "a.test"\n', "domains/a.test/domain.toml": b"", path: content}
    with pytest.raises(Failure) as refused:
        read(files)
    assert fault in refused.value.public
