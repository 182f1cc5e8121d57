"""Each family's files: well formed, complete, and unable to be broken by what people call themselves."""

from __future__ import annotations

import json
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateways.provisioning.families import Family, families, guessed
from gateways.provisioning.model import Facts, Key, keys_of
from gateways.sipura.dialplan import parse

MAC = "001565123456"
FACTS = Facts(
    mac=MAC,
    host="192.0.2.10",
    port=5061,
    transport="tls",
    domain="example.org",
    user="alice",
    login="alice",
    password='p&"<w',
    ha1="0123456789abcdef0123456789abcdef",
    name="Alice <Ärmel> & Söhne",
    label="201",
    voicemail="*97",
    pickup="**",
    keys=(Key("lamp", "202", "Bob & Co"), Key("speed", "+4930123", "Home"), Key("line", "1", "Line")),
    next_url="https://192.0.2.10:9100/t/x/",
)
EVERY = pytest.mark.parametrize("family", families().values(), ids=list(families()))


def private(family: Family, facts: Facts) -> dict[str, str]:
    return {file.template: family.write(file, facts).decode() for file in family.files if not file.public}


@EVERY
@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
def test_the_files_say_who_where_and_how(family: Family, transport: str) -> None:
    facts = replace(FACTS, transport=transport, password="plain-secret", name="Alice")
    whole = "".join(private(family, facts).values())
    secret = facts.ha1 if family.name == "linphone" else facts.password
    for fact in (facts.host, facts.domain, facts.user, secret, facts.name):
        assert fact in whole, fact
    if family.name not in ("linphone", "groundwire", "zoiper"):
        assert facts.voicemail in whole


@EVERY
def test_xml_is_well_formed_whatever_people_are_called(family: Family) -> None:
    for template, text in private(family, FACTS).items():
        if template.endswith(".xml"):
            root = ElementTree.fromstring(text.encode())
            told = json.dumps([[each.text, each.attrib] for each in root.iter()], ensure_ascii=False)
            assert "Alice <Ärmel> & Söhne" in told or template == "master.xml"


@EVERY
@given(name=st.text(max_size=30), password=st.text(min_size=1, max_size=30))
def test_no_value_becomes_another_line(family: Family, name: str, password: str) -> None:
    plain = private(family, replace(FACTS, name="x", label="y", password="z"))
    for template, text in private(family, replace(FACTS, name=name, label=name, password=password)).items():
        assert text.count("\n") == plain[template].count("\n")


@EVERY
def test_public_files_say_nothing_of_anybody(family: Family) -> None:
    for file in family.files:
        if file.public:
            text = family.plain(file).decode()
            assert "{{" not in text
            assert file.content_type != "application/xml" or ElementTree.fromstring(text.encode()) is not None


def test_paths_find_their_family() -> None:
    for path, name in (
        (f"{MAC}.cfg", "yealink"),
        ("y000000000046.cfg", "yealink"),
        (f"{MAC.upper()}.boot", "yealink"),
        (f"cfg{MAC}.xml", "grandstream"),
        (f"snomD715-{MAC}.xml", "snom"),
        (f"spa{MAC}.xml", "sipura"),
        ("spa3102.cfg", "sipura"),
        ("000000000000.cfg", "polycom"),
        ("config.xml", "linphone"),
    ):
        assert families()[name].file(path) is not None, path
    assert families()["yealink"].file("../../etc/passwd") is None
    assert families()["sipura"].file("spa3102.cfg/x") is None


@pytest.mark.parametrize(
    ("mac", "agent", "name"),
    [
        ("001565aaaaaa", "", "yealink"),
        ("0004f2aaaaaa", "", "polycom"),
        ("000413aaaaaa", "", "snom"),
        ("000e08ca6993", "", "sipura"),  # that of the reviewed guide
        ("0c383eaaaaaa", "", "fanvil"),
        ("ffffffaaaaaa", "Grandstream Model HW GXP2135", "grandstream"),
    ],
)
def test_the_family_is_told_by_the_maker(mac: str, agent: str, name: str) -> None:
    found = guessed(mac, agent)
    assert found is not None
    assert found.name == name


def test_the_pstn_line_of_a_sipura_is_as_the_guide_says() -> None:
    family = families()["sipura"]
    root = ElementTree.fromstring(private(family, FACTS)["profile.xml"].encode())
    told = {each.tag: each.text or "" for each in root}
    assert told["Dial_Plan_1_2_"] == "S0<:pbx@example.org>"
    assert told["Dial_Plan_2_2_"] == "(xx.<:@gw0>)"
    for plan in ("Dial_Plan_1_", "Dial_Plan_1_2_", "Dial_Plan_2_2_"):
        parse(told[plan])
    wanted = {
        "Register_2_": "no",
        "Make_Call_Without_Reg_2_": "yes",
        "Ans_Call_Without_Reg_2_": "yes",
        "Use_Outbound_Proxy_2_": "yes",
        "Use_Auth_ID_2_": "no",
        "VoIP-To-PSTN_Gateway_Enable_2_": "yes",
        "VoIP_Caller_Auth_Method_2_": "None",
        "One_Stage_Dialing_2_": "yes",
        "VoIP_Caller_Default_DP_2_": "2",
        "PSTN-To-VoIP_Gateway_Enable_2_": "yes",
        "PSTN_Caller_Auth_Method_2_": "None",
        "PSTN_Caller_Default_DP_2_": "1",
    }
    assert {key: told[key] for key in wanted} == wanted


def test_keys_are_read_as_people_write_them() -> None:
    assert keys_of(("202", "Bob=203", "Park=lamp:701", "Home=speed:+4930123", "line:1", "=", "a b")) == (
        Key("lamp", "202", "202"),
        Key("lamp", "203", "Bob"),
        Key("lamp", "701", "Park"),
        Key("speed", "+4930123", "Home"),
        Key("line", "1", "1"),
    )
