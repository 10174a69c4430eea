"""``pier`` beside the stock ``docker``: commands that change something."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from support.command import Command
from support.side_by_side import SideBySide

pytestmark = pytest.mark.root

Unique = Callable[[str], str]


@pytest.fixture(scope="module")
def both(docker: Command, pier: Command, busybox: str) -> SideBySide:
    return SideBySide(docker, pier)


def archive(text: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        entry = tarfile.TarInfo("file")
        data = text.encode()
        entry.size = len(data)
        tar.addfile(entry, io.BytesIO(data))
    return out.getvalue()


def test_networks(both: SideBySide, unique: Unique) -> None:
    name = unique("net")
    make = ("network", "create", "--label", "a=1", "--subnet", "10.231.0.0/24", name)
    both.same_effect(*make, undo=("network", "rm", name), ignore="[0-9a-f]{64}")
    both.ours(*make)
    both.same("network", "inspect", name)
    both.same("network", "create", name)
    both.same_effect("network", "rm", name, undo=make)
    both.ours("network", "rm", name)


def test_connect(both: SideBySide, unique: Unique) -> None:
    network, container = unique("net"), unique("c")
    both.ours("network", "create", "--subnet", "10.232.0.0/24", network)
    both.ours("create", "--name", container, "busybox", "true")
    connect = ("network", "connect", "--ip", "10.232.0.9", "--alias", "x", network, container)
    disconnect = ("network", "disconnect", network, container)
    both.same_effect(*connect, undo=disconnect)
    both.ours(*connect)
    both.same("inspect", "-f", "{{json .NetworkSettings.Networks}}", container)
    both.same("network", "connect", network, container)
    both.same_effect(*disconnect, undo=connect)
    both.ours("rm", "-f", container)


def test_volumes(both: SideBySide, unique: Unique) -> None:
    name = unique("vol")
    make = ("volume", "create", "--label", "a=1", "-o", "type=tmpfs", "-o", "device=tmpfs", name)
    both.same_effect(*make, undo=("volume", "rm", name))
    both.ours(*make)
    both.same("volume", "inspect", name)
    both.same("volume", "create", "-o", "type=nonsense", name)
    container = unique("c")
    both.ours("create", "--name", container, "-v", f"{name}:/x", "busybox", "true")
    both.same("volume", "rm", name, ignore="[0-9a-f]{64}")
    both.same("volume", "rm", "-f", name, ignore="[0-9a-f]{64}")
    both.ours("rm", container)
    both.same_effect("volume", "rm", name, undo=make)
    both.ours("volume", "rm", name)


def test_anonymous_volumes_have_names(pier: Command) -> None:
    name = pier("volume", "create").out
    assert len(name) == 64
    pier("volume", "rm", name)


def test_tags_and_removal(both: SideBySide, unique: Unique) -> None:
    name = unique("img")
    both.same_effect("tag", "busybox", f"{name}:1")
    both.same_effect("rmi", f"{name}:1", undo=("tag", "busybox", f"{name}:1"))
    both.ours("rmi", f"{name}:1")


def test_import_and_remove(both: SideBySide, unique: Unique, tmp_path: Path) -> None:
    name = unique("img")
    path = tmp_path / "in.tar"
    path.write_bytes(archive(name))
    make = ("import", "-c", "CMD sh", "-m", "hello", str(path), f"{name}:1")
    any_id = "sha256:[0-9a-f]{64}"
    both.same_effect(*make, undo=("rmi", f"{name}:1"), ignore=any_id)
    both.ours(*make)
    both.same("history", f"{name}:1", ignore=r"\S+ \S+ \S+ second|.* ago")
    both.same("image", "inspect", f"{name}:1")
    both.same_effect("rmi", f"{name}:1", undo=make, ignore=any_id)
    both.ours("rmi", f"{name}:1")


def test_save_and_load(both: SideBySide, unique: Unique, tmp_path: Path) -> None:
    ours, stock = tmp_path / "ours.tar", tmp_path / "stock.tar"
    both.ours("save", "-o", str(ours), "busybox")
    both.stock("save", "-o", str(stock), "busybox")
    assert ours.read_bytes() == stock.read_bytes()
    assert both.ours("save", "busybox").stdout_bytes == ours.read_bytes()
    both.same("load", "-i", str(ours))
    both.same("load", "-q", "-i", str(stock))
    loaded = both.ours("load", input=ours.read_bytes())
    assert loaded.out == "Loaded image: busybox:latest"
    ours.write_bytes(b"nonsense" * 1000)
    both.same("load", "-i", str(ours), stderr=False)


def test_progress_on_a_terminal(pier: Command, tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    pier("save", "-o", str(path), "busybox")
    with pier.terminal("load", "-i", str(path)) as terminal:
        terminal.expect("Loaded image: busybox:latest")
        assert terminal.wait() == 0


def test_prunes(both: SideBySide, unique: Unique) -> None:
    label = unique("label")
    for kind in ("network", "volume"):
        name = unique(kind)
        make = (kind, "create", "--label", f"keep={label}", name)
        both.ours(*make)
        extra = ("-a",) if kind == "volume" else ()
        both.same_effect(kind, "prune", "-f", *extra, "--filter", f"label=keep={label}", undo=make)
        both.ours(kind, "rm", name)
    both.same("image", "prune", "-f", "--filter", f"label=keep={label}")
    both.same("system", "prune", "-f", "--filter", f"label=keep={label}")


def test_prune_with_a_yes(pier: Command, unique: Unique) -> None:
    label = unique("label")
    pier("volume", "create", "--label", label, label)
    said = pier("volume", "prune", "-a", "--filter", f"label={label}", input="y\n")
    assert f"[y/N] Deleted Volumes:\n{label}\n\nTotal reclaimed space: 0B\n" in said.stdout


def test_bootstrap(pier: Command, docker: Command, unique: Unique) -> None:
    name = unique("boot")
    identifier = pier("image", "bootstrap", "-q", "--tag", f"{name}:1", "busybox").out
    assert docker("image", "inspect", "-f", "{{.Id}}", f"{name}:1").out == identifier
    assert docker("run", "--rm", f"{name}:1", "echo", "hi").out == "hi"
    docker("rmi", f"{name}:1")
    pier.fails("image", "bootstrap", "nonsense").says("nonsense")


def test_events_live(pier: Command, docker: Command, unique: Unique) -> None:
    name = unique("vol")
    follow = pier.popen("events", "--filter", f"volume={name}", "--format", "{{.Action}}")
    try:
        import time

        time.sleep(0.5)
        docker("volume", "create", name)
        docker("volume", "rm", name)
        assert follow.stdout is not None
        assert [follow.stdout.readline() for _ in range(2)] == [b"create\n", b"destroy\n"]
    finally:
        follow.kill()
        follow.communicate()


def test_login_and_logout(both: SideBySide, tmp_path: Path) -> None:
    """No registry answers here, so a refusal must be the same and keep nothing."""
    words = ("login", "-u", "ann", "-p", "pw", "localhost:1")
    ours = both.ours("--config", str(tmp_path), *words, check=False)
    stock = both.stock("--config", str(tmp_path), *words, check=False)
    assert (ours.returncode, ours.stdout) == (stock.returncode, stock.stdout)
    assert ours.returncode == 1
    assert not (tmp_path / "config.json").exists()
    (tmp_path / "config.json").write_text('{"auths": {"a.example": {"auth": "YTpi"}}, "x": 1}')
    both.ours("--config", str(tmp_path), "logout", "a.example")
    assert json.loads((tmp_path / "config.json").read_text()) == {"auths": {}, "x": 1}
