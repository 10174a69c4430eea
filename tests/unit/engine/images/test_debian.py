"""With a stand-in for mmdebstrap; the real one runs in tests/integration."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from pierhead.engine.images import debian
from pierhead.errors import Unavailable

from .conftest import World

SCRIPT = """#!/bin/sh
case "$*" in
*--format=null*)
    for word; do case $word in --customize-hook=*) hook=${word#*> };; esac; done
    printf 'Date: Sat, 11 Jul 2026 10:16:37 UTC\\nDate: Sun, 12 Jul 2026 10:16:37 UTC\\n' > "$hook"
    ;;
*broken*) echo "E: no such suite" >&2; exit 25 ;;
*) printf '%s\\n' "$@" > "$LOG"; echo "epoch=$SOURCE_DATE_EPOCH" >> "$LOG"; cat "$TAR" ;;
esac
"""


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    out = io.BytesIO()
    tarfile.open(fileobj=out, mode="w").close()
    (tmp_path / "rootfs.tar").write_bytes(out.getvalue())
    script = SCRIPT.replace("$TAR", str(tmp_path / "rootfs.tar"))
    script = script.replace("$LOG", str(tmp_path / "log"))
    (tmp_path / "mmdebstrap").write_text(script)
    (tmp_path / "mmdebstrap").chmod(0o755)
    spawn = debian.process.spawn

    def with_stand_in(argv: list[str], **kwargs: object) -> object:
        assert argv[:3] == ["setpriv", "--pdeathsig=TERM", "mmdebstrap"]
        return spawn([str(tmp_path / "mmdebstrap"), *argv[3:]], **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(debian.process, "spawn", with_stand_in)
    monkeypatch.setattr(debian.shutil, "which", lambda name: f"/usr/bin/{name}")
    return tmp_path


async def test_the_archives_date_is_the_images(world: World, tool: Path) -> None:
    messages = [
        message
        async for message in world.images.bootstrap(
            "debian:bookworm", packages=["curl", "vim"], mirror="http://mirror/debian"
        )
    ]
    details = world.images.inspect("debian:bookworm")
    assert messages[-2] == {"aux": {"ID": details["Id"]}}
    assert messages[-1] == {"status": "Bootstrapped image: debian:bookworm"}
    assert details["Created"] == "2026-07-12T10:16:37Z"
    assert details["Config"]["Cmd"] == ["bash"]
    log = (tool / "log").read_text().splitlines()
    assert log[-5:] == [
        "--format=tar",
        "bookworm",
        "-",
        "http://mirror/debian",
        "epoch=1783851397",
    ]
    assert "--include=curl,vim" in log
    assert list(world.paths.tmp.iterdir()) == []


async def test_failure_leaves_nothing_and_says_why(world: World, tool: Path) -> None:
    with pytest.raises(Unavailable, match="mmdebstrap failed: E: no such suite"):
        async for _ in world.images.bootstrap("debian:broken"):
            pass
    assert world.images.list() == []
    assert list(world.paths.tmp.iterdir()) == []
