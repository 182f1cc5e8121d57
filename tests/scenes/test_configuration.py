"""The configuration of a running server as a tree of files, by the command."""

from __future__ import annotations

from pathlib import Path

from tests.scenes.site import DOMAIN, Site

PROGRAM = 'entry Main is\n  if AcceptCall() != null then return; end if;\n  PlayFile("welcome");\nend entry;\n'


async def test_a_tree_is_refused_planned_applied_and_kept(site: Site, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    await site.tandem("export", str(tree))
    of_domain = tree / "domains" / DOMAIN
    (of_domain / "accounts" / "carol.toml").write_text('aliases = ["203"]\n[settings]\nDivertAlways = ["#hello"]\n')
    (of_domain / "domain.toml").write_text('[groups]\nsales = ["alice", "carol"]\n')
    program = tree / "environment" / "hello.sppr"
    program.parent.mkdir()
    program.write_text(PROGRAM.replace('"welcome")', '"welcome"'))
    assert "environment/hello.sppr: hello.sppr:3:" in await site.tandem("apply", str(tree), "--yes", expect=1)
    assert "carol" not in await site.tandem("account", "list")
    program.write_text(PROGRAM)
    assert f"203@{DOMAIN}: nobody → account carol@{DOMAIN}" in await site.tandem("plan", str(tree))
    assert f"carol@{DOMAIN} has the password " in await site.tandem("apply", str(tree), "--yes")
    assert "#hello" in await site.tandem("route", "203")
    await site.kill()
    await site.start()
    assert "no changes" in await site.tandem("plan", str(tree))
