"""The configuration file: defaults, values, and refusals for their stated reason."""

from __future__ import annotations

import ipaddress
from dataclasses import fields
from pathlib import Path

import pytest

from base.config import _KEYS, Config, ConfigError, load, parse


def test_an_empty_file_is_the_defaults() -> None:
    assert parse("") == Config()
    assert [str(each) for each in Config().sip.listen] == [
        *("udp:0.0.0.0:5060", "tcp:0.0.0.0:5060", "tls:0.0.0.0:5061", "wss:0.0.0.0:8089"),
        *("udp:[::]:5060", "tcp:[::]:5060", "tls:[::]:5061", "wss:[::]:8089", "ws:127.0.0.1:8088"),
    ]
    assert Config().media.ports == (61000, 64999)


def test_values() -> None:
    config = parse("""
[sip]
listen = ["udp:127.0.0.5:0", "[::1]:5070", "tls:127.0.0.5", "ws:127.0.0.5:80"]
advertised = "203.0.113.7"
trusted = ["192.0.2.0/24", "198.51.100.1"]

[media]
ports = "60000-60099"

[imap]
port = 0

[log]
level = "DEBUG"
json = true
""")
    assert [str(listen) for listen in config.sip.listen] == [
        *("udp:127.0.0.5:0", "udp:[::1]:5070", "tcp:[::1]:5070", "tls:127.0.0.5:5061", "ws:127.0.0.5:80"),
    ]
    assert config.sip.trusted[0] == ipaddress.ip_network("192.0.2.0/24")
    assert config.media.ports == (60000, 60099)
    assert config.imap.port == 0
    assert config.log.level == "debug"
    assert config.log.json


@pytest.mark.parametrize(
    ("text", "server"),
    [("", None), ("192.0.2.53", ("192.0.2.53", 53)), ("[2001:db8::53]:5353", ("2001:db8::53", 5353))],
)
def test_the_server_of_enum(text: str, server: tuple[str, int] | None) -> None:
    assert parse(f'[router]\nenum_server = "{text}"').router.enum_server == server


def test_every_key_of_the_table_is_a_field() -> None:
    for section in fields(Config):
        assert set(_KEYS[section.name]) == {item.name for item in fields(getattr(Config(), section.name))}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[sip]\n\nlisten = 5060", "f.toml:3: [sip] listen must be text in quotes"),
        ("[sip]\nlisten = []", "f.toml:2: [sip] listen must name at least one address"),
        ("[sip]\nlisten = 'udp:localhost:5060'", "f.toml:2: [sip] listen 'udp:localhost:5060' is no address"),
        ("[sip]\nlisten = '127.0.0.1:70000'", "must be a whole number from 0 to 65535"),
        ("[sip]\nlitsen = ''", "f.toml:2: unknown key litsen in [sip]; did you mean listen?"),
        ("# x\n\n[spi]\n", "f.toml:3: unknown section spi; did you mean sip?"),
        (
            "zzz = 1",
            "unknown section zzz; known: sip, media, nat, imap, provisioning, records, recordings, router, log",
        ),
        ("sip = 1", "f.toml:1: sip is a section: write [sip]"),
        ("[log]\nlevel='info'\njson=1", "f.toml:3: [log] json must be true or false"),
        ("log.level = 'info'\nlog.loud = 1", "unknown key loud in [log]"),
        (
            "[router]\nenum_server = 'dns.example'",
            "f.toml:2: [router] enum_server 'dns.example' is no address of a server",
        ),
        ("[router]\nenum_server = '192.0.2.53:0'", "must be a whole number from 1 to 65535"),
        ("[log]\nlevel = 'loud'", "f.toml:2: [log] level must be debug, info, warning or error"),
        ("[media]\nports = '61000'", 'must be a range such as "61000-64999"'),
        ("[media]\nports = [61000, 61001]", "must hold at least four ports"),
        ("[media]\nports = 'a-b'", "must be a whole number from 1024 to 65535"),
        ("[sip]\ntrusted = ['300.1.1.1']", "does not appear to be an IPv4 or IPv6 network"),
        ("[imap]\naddress = 'x'", "'x' is no numeric address"),
        ("[sip", "f.toml: "),
    ],
)
def test_refusals(text: str, reason: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text, "f.toml")
    assert reason in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / "none.toml")
    good = tmp_path / "good.toml"
    good.write_text("[imap]\nport = 2143\n")
    assert load(good).imap.port == 2143
