"""COPY and ADD: from contexts, stages and heredocs into layers."""

from __future__ import annotations

import asyncio
import gzip
import io
import os
import tarfile
from pathlib import Path

import pytest

from pierhead import tasks
from pierhead.build.files.model import CopyRequest, Inline
from pierhead.build.model import Wanted
from pierhead.errors import InvalidParameter, NotFound
from support.building import CONTEXT, Bench, tar_client
from support.layers import MTIME, directory, item, layer_tar

pytestmark = pytest.mark.root


async def test_a_directory_stands_for_what_is_in_it(bench: Bench) -> None:
    layer = await bench.copy(await bench.context(CONTEXT), "app", to="/opt/app/")
    tree = bench.tree(layer)
    assert tree["opt/app"]["mode"] == oct(0o40755)
    assert tree["opt/app/main.py"]["mode"] == oct(0o100640)
    assert tree["opt/app/main.py"]["owner"] == (0, 0)
    assert tree["opt/app/link"]["target"] == b"lib/big"
    assert bench.read(layer, "opt/app/lib/big") == b"b" * 300_000
    assert tree["srv/old"]["owner"] == (0, 0)
    assert tree["srv"]["owner"] == (7, 8)


async def test_links_in_the_destination_are_followed_inside_the_image(bench: Bench) -> None:
    layer = await bench.copy(
        await bench.context(CONTEXT), "notes.txt", to="/www/", chown="app:staff", chmod="0600"
    )
    tree = bench.tree(layer)
    assert tree["srv/notes.txt"]["owner"] == (7, 50)
    assert tree["srv/notes.txt"]["mode"] == oct(0o100600)
    assert tree["www"]["target"] == b"/srv"
    assert tree["srv"]["mode"] == oct(0o40750)


async def test_the_same_input_gives_the_same_layer(bench: Bench) -> None:
    one = await bench.copy(await bench.context(CONTEXT), ".", to="/x")
    two = await bench.copy(await bench.context(CONTEXT), ".", to="/x")
    assert one == two


async def test_a_selection_says_what_it_is(bench: Bench) -> None:
    context = await bench.context(CONTEXT)
    chain = bench.files.chain(bench.base, "base")
    for source, names, roots, is_dir in (
        (context, ["app"], 1, True),
        (context, ["*"], 3, False),
        (context, ["notes.txt"], 1, False),
        (chain, ["/srv"], 1, True),
        (chain, ["/etc/*"], 2, False),
    ):
        found = await bench.files.select(source, CopyRequest(sources=names))
        assert (found.roots, found.is_dir) == (roots, is_dir)
        assert await bench.files.select(source, CopyRequest(sources=names)) == found


async def test_a_context_can_be_mounted(bench: Bench) -> None:
    source = await bench.context(CONTEXT)
    for path, inside in (("/", "app/main.py"), ("app", "main.py"), ("app/main.py", "")):
        mounted = await bench.files.mountable(source, path)
        assert (mounted.path / inside if inside else mounted.path).read_bytes() == b"print(1)"
        await mounted.release()
    mounted = await bench.files.mountable(source, "app")
    assert mounted.path.stat().st_mode == 0o040700
    await mounted.release()
    with pytest.raises(NotFound, match='"/nothing": not found'):
        await bench.files.mountable(source, "nothing")


async def test_a_chain_can_be_mounted_at_a_link(bench: Bench) -> None:
    source = bench.files.chain(bench.base, "base")
    mounted = await bench.files.mountable(source, "/www")
    assert (mounted.path / "old").read_text() == "old"
    await mounted.release()
    assert await bench.files.read(source, "/www/old", 10) == b"old"
    assert (await bench.files.stat(source, "/www")).link == b"/srv"
    assert [stat.path for stat in await bench.files.listdir(source, "/etc")] == [
        b"group", b"passwd",
    ]  # fmt: skip


async def test_copies_from_a_stage_keep_owners(bench: Bench) -> None:
    source = bench.files.chain(bench.base, "base")
    layer = await bench.copy(source, "/srv", to="/copy/", keep_owner=True)
    tree = bench.tree(layer)
    assert tree["copy"]["owner"] == (0, 0)
    assert bench.read(layer, "copy/old") == b"old"


async def test_a_tree_is_exported_as_a_tar(bench: Bench) -> None:
    data = b"".join([part async for part in bench.files.tar(bench.base, epoch_s=5, prefix="p/q")])
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        names = archive.getnames()
        assert names[:4] == ["p", "p/q", "p/q/etc", "p/q/etc/group"]
        assert max(member.mtime for member in archive.getmembers()) == 5


async def test_workdirs_are_made_once(bench: Bench) -> None:
    layer = await bench.files.mkdir(bench.base, "/www/a/b", owner="app")
    assert layer is not None
    tree = bench.tree(layer)
    assert tree["srv/a/b"]["owner"] == (7, 8)
    assert tree["srv/a/b"]["mtime"] == MTIME * 1_000_000_000
    assert await bench.files.mkdir(layer.chain_id, "/srv/a/b") is None
    with pytest.raises(InvalidParameter, match="not a directory"):
        await bench.files.mkdir(bench.base, "/etc/passwd")


async def test_archives_are_unpacked_by_add(bench: Bench) -> None:
    inner = layer_tar(
        directory("d", mode=0o700, owner=(5, 6)),
        item("d/f", data="f" * 1000, owner=(5, 6)),
        item("d/g", "hardlink", link="d/f"),
        item("deep/er/x", data="x"),
    )
    packed = gzip.compress(inner, mtime=0)
    outer = layer_tar(item("a.tar.gz", data=packed), item("plain", data="p"))
    source = await bench.context(outer)
    layer = await bench.copy(source, "a.tar.gz", "plain", to="/www/", unpack=True)
    tree = bench.tree(layer)
    assert tree["srv/d"]["owner"] == (5, 6)
    assert tree["srv/d/g"]["links"] == b"srv/d/f"
    assert tree["srv/deep/er"]["mode"] == oct(0o40755)
    assert bench.read(layer, "srv/plain") == b"p"
    kept = await bench.copy(source, "a.tar.gz", to="/www/", unpack=False)
    assert bench.read(kept, "srv/a.tar.gz") == packed


async def test_heredocs_are_files(bench: Bench) -> None:
    source = bench.files.inline([Inline(name="robots.txt", data=b"no\n")])
    layer = await bench.copy(source, "robots.txt", to="/www/", chmod="u=rw,go=r")
    assert bench.read(layer, "srv/robots.txt") == b"no\n"
    await bench.files.release(source)


async def test_a_linked_layer_stands_on_any_base(bench: Bench) -> None:
    source = await bench.context(CONTEXT)
    layer = await bench.copy(source, "notes.txt", to="/tmp/x/", link=True)
    linked = await bench.files.link_onto(layer, bench.base)
    assert linked.diff_id == layer.diff_id
    tree = bench.tree(linked)
    assert tree["tmp"]["mode"] == oct(0o41777)
    assert bench.read(linked, "tmp/x/notes.txt") == b"notes"


async def test_a_copy_that_is_cancelled_leaves_nothing(bench: Bench, tmp_path: Path) -> None:
    data = layer_tar(*(item(f"f{n}", data=bytes([n]) * 3_000_000) for n in range(20)))
    source = await bench.context(data)
    views = bench.files._paths.build_views
    before = {layer.chain_id for layer in bench.snapshots.layers()}
    for delay_s in (0.0, 0.01, 0.03, 0.06):
        copying = tasks.spawn(bench.copy(source, ".", to="/x/"), name="copy")
        await asyncio.sleep(delay_s)
        copying.cancel()
        with pytest.raises(asyncio.CancelledError):
            await copying
    assert list(views.iterdir()) == []
    assert {layer.chain_id for layer in bench.snapshots.layers()} == before
    layer = await bench.copy(source, "f1", to="/x/")
    assert bench.tree(layer)["x/f1"]["size"] == 3_000_000


async def test_names_that_are_no_text(bench: Bench) -> None:
    name = os.fsdecode(b"\xff\xfe")
    data = layer_tar(directory("d"), item(f"d/{name}", data="raw"), item("d/é", data="e"))
    layer = await bench.copy(await bench.context(data), "d", to="/x/", exclude=["é"])
    assert [path for path in bench.tree(layer) if path.startswith("x/")] == [f"x/{name}"]
    assert await bench.files.read(bench.files.chain(layer.chain_id, "l"), f"/x/{name}", 9) == b"raw"


async def test_a_broken_context_is_broken_for_all_who_ask(bench: Bench) -> None:
    client = tar_client(layer_tar(item("../out")))
    for _ in range(2):
        with pytest.raises(InvalidParameter, match="leads out of it"):
            await bench.files.context(client, "c", Wanted(), progress=lambda *_: None)
    await bench.files.forget(client)


async def test_names_that_look_like_patterns_can_be_mounted(bench: Bench) -> None:
    source = await bench.context(layer_tar(directory("[a]*"), item("[a]*/f", data="1"), item("a")))
    mounted = await bench.files.mountable(source, "[a]*/f")
    assert mounted.path.read_text() == "1"
    await mounted.release()
