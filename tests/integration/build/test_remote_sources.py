"""ADD from URLs and git repositories."""

from __future__ import annotations

import asyncio
import base64
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from pierhead.build.files import git
from pierhead.errors import InvalidParameter, NotFound, Unavailable
from pierhead.oci.digest import sha256
from support.building import CONTEXT, Bench

pytestmark = pytest.mark.root


def quiet(*_: Any) -> None:
    pass


class Site:
    """A web server with one file, which counts how often it gave it."""

    def __init__(self) -> None:
        self.body = b"first"
        self.given = 0
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                etag = f'"{len(site.body)}"'
                if self.path.startswith("/missing"):
                    self.send_error(404)
                    return
                if self.headers.get("If-None-Match") == etag:
                    self.send_response(304)
                    self.end_headers()
                    return
                site.given += 1
                self.send_response(200)
                self.send_header("ETag", etag)
                self.send_header("Last-Modified", "Wed, 21 Oct 2015 07:28:00 GMT")
                self.send_header("Content-Length", str(len(site.body)))
                self.end_headers()
                self.wfile.write(site.body)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    yield site
    site.server.shutdown()
    site.server.server_close()


async def test_an_unchanged_download_is_not_repeated(bench: Bench, site: Site) -> None:
    url = f"{site.url}/some/file.txt?x=1"
    for _ in range(2):
        source = await bench.files.http(url, progress=quiet)
        layer = await bench.copy(source, to="/www/")
        await bench.files.release(source)
    tree = bench.tree(layer)
    assert site.given == 1
    assert tree["srv/file.txt"]["mode"] == oct(0o100600)
    assert tree["srv/file.txt"]["mtime"] == 1445412480 * 1_000_000_000
    site.body = b"another one"
    source = await bench.files.http(url, progress=quiet)
    assert source.identity == sha256(b"another one")
    (kept,) = bench.files.usage()
    assert kept.in_use
    assert await bench.files.drop([kept.id]) == 0
    await bench.files.release(source)
    assert await bench.files.drop([kept.id]) == len(b"another one")
    assert bench.files.usage() == []


async def test_a_checksum_must_match(bench: Bench, site: Site) -> None:
    good = sha256(b"first")
    await bench.files.http(f"{site.url}/f", checksum=good, progress=quiet)
    await bench.files.http(f"{site.url}/f", checksum=good, progress=quiet)
    assert site.given == 1
    with pytest.raises(InvalidParameter, match="digest mismatch"):
        await bench.files.http(f"{site.url}/g", checksum=sha256(b"other"), progress=quiet)
    with pytest.raises(NotFound, match="invalid response status 404"):
        await bench.files.http(f"{site.url}/missing", progress=quiet)


async def test_an_archive_can_be_a_context(bench: Bench, site: Site) -> None:
    site.body = CONTEXT
    source = await bench.files.http(f"{site.url}/c.tar", progress=quiet)
    opened = await bench.files.archive(source)
    await bench.files.release(source)
    assert await bench.files.read(opened, "app/main.py", 100) == b"print(1)"
    layer = await bench.copy(opened, "app", to="/x/")
    assert bench.read(layer, "x/main.py") == b"print(1)"


@pytest.fixture(scope="module")
def repositories(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """git's own server for two repositories, one a submodule of the other."""
    base = tmp_path_factory.mktemp("git")
    env = {
        **os.environ,
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_AUTHOR_NAME": "a",
        "GIT_AUTHOR_EMAIL": "a@b",
        "GIT_COMMITTER_NAME": "a",
        "GIT_COMMITTER_EMAIL": "a@b",
        "GIT_AUTHOR_DATE": "1600000000 +0000",
        "GIT_COMMITTER_DATE": "1600000000 +0000",
    }

    def git(where: Path, *args: str) -> str:
        return subprocess.run(
            ["git", "-c", "init.defaultBranch=main", *args],
            cwd=where, env=env, check=True, capture_output=True, text=True,
        ).stdout.strip()  # fmt: skip

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"git://127.0.0.1:{port}"
    for name in ("sub", "top"):
        (base / name).mkdir()
        git(base / name, "init", "-q")
        (base / name / "file").write_text(name)
        (base / name / "dir").mkdir()
        (base / name / "dir/run.sh").write_text("#!/bin/sh\n")
        (base / name / "dir/run.sh").chmod(0o755)
        (base / name / "link").symlink_to("dir/run.sh")
        git(base / name, "add", ".")
        git(base / name, "commit", "-q", "-m", "first")
    git(base / "top", "tag", "-a", "v1", "-m", "v1")
    server = subprocess.Popen(
        ["git", "daemon", "--export-all", f"--base-path={base}", f"--port={port}",
         "--listen=127.0.0.1", "--reuseaddr", "--verbose"],
        stderr=subprocess.PIPE, env=env,
    )  # fmt: skip
    assert server.stderr is not None
    while b"Ready to rumble" not in server.stderr.readline():
        assert server.poll() is None
    threading.Thread(target=server.stderr.read, daemon=True).start()
    (base / "top/.gitmodules").write_text(f'[submodule "s"]\n\tpath = s\n\turl = {url}/sub\n')
    git(base / "top", "update-index", "--add", "--cacheinfo",
        f"160000,{git(base / 'sub', 'rev-parse', 'HEAD')},s")  # fmt: skip
    git(base / "top", "add", ".gitmodules")
    git(base / "top", "commit", "-q", "-m", "second")
    yield url, base
    server.terminate()
    server.wait()


async def test_a_repository_is_checked_out(bench: Bench, repositories: tuple[str, Path]) -> None:
    url, base = repositories
    head = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=base / "top", check=True, capture_output=True, text=True
    ).stdout.strip()
    source = await bench.files.git(f"{url}/top", progress=quiet)
    assert bench.files.git_commit(source) == head
    layer = await bench.copy(source, "/", to="/src/")
    tree = bench.tree(layer)
    assert tree["src/dir/run.sh"]["mode"] == oct(0o100755)
    assert tree["src/dir/run.sh"]["owner"] == (0, 0)
    assert tree["src/dir/run.sh"]["mtime"] == 1_600_000_000 * 1_000_000_000
    assert tree["src/link"]["target"] == b"dir/run.sh"
    assert bench.read(layer, "src/s/file") == b"sub"
    assert not any("/.git/" in path for path in tree)
    assert not list((bench.files._root / "tmp").iterdir())


async def test_refs_tags_and_subdirectories(bench: Bench, repositories: tuple[str, Path]) -> None:
    url, _ = repositories
    tagged = await bench.files.git(f"{url}/top#v1:dir", progress=quiet)
    names = [stat.path for stat in await bench.files.listdir(tagged, "/")]
    assert names == [b"run.sh"]
    commit = bench.files.git_commit(tagged)
    same = await bench.files.git(f"{url}/top#{commit}:dir", progress=quiet)
    assert same.identity == tagged.identity
    kept = await bench.files.git(f"{url}/top?branch=main", keep_git_dir=True, progress=quiet)
    assert (await bench.files.stat(kept, ".git/HEAD")).size > 0
    for bad in (f"{url}/top#nothing", f"{url}/top#main:nowhere"):
        with pytest.raises(NotFound):
            await bench.files.git(bad, progress=quiet)
    with pytest.raises(InvalidParameter, match="expected checksum to match"):
        await bench.files.git(f"{url}/top#v1", checksum="0" * 40, progress=quiet)


async def test_a_repository_behind_a_plain_web_server(
    bench: Bench, repositories: tuple[str, Path], tmp_path: Path
) -> None:
    """git's dumb protocol knows no shallow copies."""
    _, base = repositories
    bare = tmp_path / "site/sub.git"
    subprocess.run(["git", "clone", "-q", "--bare", base / "sub", bare], check=True)
    subprocess.run(["git", "update-server-info"], cwd=bare, check=True)
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path / "site"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        url = f"http://127.0.0.1:{server.server_port}/sub.git#main"
        source = await bench.files.git(url, progress=quiet)
        assert await bench.files.read(source, "file", 10) == b"sub"
    finally:
        server.shutdown()
        server.server_close()


async def test_tokens_are_sent_to_their_host_only(
    bench: Bench, repositories: tuple[str, Path], tmp_path: Path
) -> None:
    _, base = repositories
    bare = tmp_path / "site/sub.git"
    subprocess.run(["git", "clone", "-q", "--bare", base / "sub", bare], check=True)
    subprocess.run(["git", "update-server-info"], cwd=bare, check=True)
    seen: set[str | None] = set()

    class Guarded(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.add(self.headers.get("Authorization"))
            super().do_GET()

        def log_message(self, *_: Any) -> None:
            pass

    class Client:
        def __init__(self, host: str) -> None:
            self.host = host

        async def secret(self, secret_id: str) -> bytes | None:
            return b"tok" if secret_id == f"GIT_AUTH_TOKEN.{self.host}" else None

    handler = partial(Guarded, directory=str(tmp_path / "site"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        host = f"127.0.0.1:{server.server_port}"
        for name in ("elsewhere", host):
            seen.clear()
            client: Any = Client(name)
            await bench.files.git(f"http://{host}/sub.git", client=client, progress=quiet)
            wanted = base64.b64encode(b"x-access-token:tok").decode()
            assert seen == ({f"basic {wanted}"} if name == host else {None})
    finally:
        server.shutdown()
        server.server_close()


class Agent:
    """A client that forwards its ssh agent."""

    def __init__(self, socket_path: str) -> None:
        self._socket = socket_path

    async def ssh(self, agent_id: str) -> Any:
        return self if agent_id == "default" else None

    async def connect(self) -> Any:
        reader, writer = await asyncio.open_unix_connection(self._socket)

        class Connection:
            async def read(self) -> bytes:
                return await reader.read(4096)

            async def write(self, data: bytes) -> None:
                writer.write(data)
                await writer.drain()

            async def close(self) -> None:
                writer.close()

        return Connection()


@pytest.mark.skipif(shutil.which("ssh-agent") is None, reason="needs openssh-client")
async def test_git_reaches_the_clients_ssh_agent(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Instead of ssh git runs what lists the agent's keys, and fails with what it said."""
    path = str(tmp_path / "agent")
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL)
    try:
        while not os.path.exists(path):
            await asyncio.sleep(0.01)
            assert agent.poll() is None
        key = tmp_path / "key"
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "the key", "-f", key], check=True
        )
        env = os.environ | {"SSH_AUTH_SOCK": path}
        subprocess.run(["ssh-add", "-q", key], check=True, env=env)
        monkeypatch.setattr(git, "PASSED_ON", ("GIT_SSH_COMMAND",))
        monkeypatch.setenv("GIT_SSH_COMMAND", "sh -c 'id -u >&2; ssh-add -l >&2; exit 1'")
        client: Any = Agent(path)
        with pytest.raises(Unavailable, match=r"(?s)65534.*the key \(ED25519\)"):
            await bench.files.git("git@example.invalid:x/y", client=client, progress=quiet)
    finally:
        agent.terminate()
        agent.wait()
