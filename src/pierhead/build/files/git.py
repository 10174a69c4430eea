"""Git repositories as sources: resolved, checked out by a confined helper, kept by commit."""

from __future__ import annotations

import asyncio
import base64
import itertools
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from pierhead.build.execute.agents import AgentSocket
from pierhead.build.files import giturl
from pierhead.build.files.entries import decode
from pierhead.build.files.git_worker import NOBODY, PLACE
from pierhead.build.files.giturl import GitUrl
from pierhead.build.files.held import Held
from pierhead.build.files.layers import Layers
from pierhead.build.files.stored import NUMBER, Stored
from pierhead.build.model import Client
from pierhead.errors import Internal, InvalidParameter
from pierhead.linux import process, worker
from pierhead.oci.digest import Digest, sha256
from pierhead.store.paths import Paths

_KIND: Final = "git"
PASSED_ON: Final = ("http_proxy", "https_proxy", "no_proxy", "all_proxy", "SSL_CERT_FILE")
"""Variables of pierd that git gets."""
_numbers = itertools.count(1)


async def fetch(
    found: GitUrl,
    *,
    keep_git_dir: bool,
    client: Client | None,
    stored: Stored,
    layers: Layers,
    paths: Paths,
) -> tuple[Held, Digest, str]:
    """The checkout, what stands for it, and its commit: see ``FileService.git``."""
    async with _place(paths) as (directory, env):
        config = await _authorization(found, client)
        async with _agent(found, client, directory) as agent:
            env |= agent
            common = {"directory": str(directory), "remote": found.remote,
                      "env": env, "config": config}  # fmt: skip
            ref, commit, tagged = "", found.ref, ""
            if not giturl.is_commit(found.ref):
                ref, commit, tagged = await worker.call(
                    "build.files.git_worker:resolve", common | {"ref": found.ref},
                    timeout_s=120, site_packages=True,
                )  # fmt: skip
            _check(found, commit, tagged)
            identity = _identity(found, tagged or commit, keep_git_dir, ref)
            key = stored.key(_KIND, identity)
            async with stored.lock(key):
                held = stored.open(_KIND, key, what="repository")
                if held is None:
                    await _check_out(
                        common | {"ref": ref, "commit": commit, "subdir": found.subdir,
                                  "keep_git_dir": keep_git_dir, "submodules": found.submodules},
                        key, stored, layers,
                    )  # fmt: skip
                    held = stored.open(_KIND, key, what="repository")
            if held is None:
                raise Internal("what was checked out is gone")
    facts = stored.facts(key) or {}
    return held, sha256(identity.encode()), str(facts.get("commit", tagged or commit))


async def _check_out(args: dict[str, Any], key: str, stored: Stored, layers: Layers) -> None:
    pack_fd = stored.new_file(_KIND, key)
    index_fd = process.memory_file("index", b"")
    try:
        result = await worker.call(
            "build.files.git_worker:checkout",
            args
            | {
                "pack_fd": pack_fd,
                "index_fd": index_fd,
                "pack": NUMBER,
                "limit_bytes": layers.room(),
            },
            pass_fds=(pack_fd, index_fd),
            site_packages=True,
        )
        entries = decode(os.pread(index_fd, os.fstat(index_fd).st_size, 0))
        await stored.put(
            _KIND, key, pack_fd, entries,
            {"name": giturl.shown(args["remote"]), "commit": result["commit"]},
        )  # fmt: skip
    finally:
        os.close(pack_fd)
        os.close(index_fd)


def _check(found: GitUrl, commit: str, tagged: str) -> None:
    wanted = found.checksum.lower()
    if wanted and not commit.startswith(wanted) and not (tagged and tagged.startswith(wanted)):
        have = f"{commit} or {tagged}" if tagged else commit
        raise InvalidParameter(f"expected checksum to match {found.checksum}, got {have}")


def _identity(found: GitUrl, commit: str, keep_git_dir: bool, ref: str) -> str:
    """What the tree depends on: the remote only where its .git is in it."""
    text = commit
    if keep_git_dir:
        text += f".git#{ref} {giturl.shown(found.remote)}"
    if found.subdir:
        text += f":{found.subdir}"
    if not found.submodules:
        text += "(skip-submodules)"
    return text


@asynccontextmanager
async def _place(paths: Paths) -> AsyncIterator[tuple[Path, dict[str, str]]]:
    """(a directory that git may write to, proxies)."""
    directory = paths.builds / "tmp" / f"git-{os.getpid()}-{next(_numbers)}"
    os.mkdir(directory, 0o700)
    os.chown(directory, NOBODY, NOBODY)
    env = {
        key: os.environ[key]
        for name in PASSED_ON
        for key in (name, name.upper())
        if key in os.environ
    }
    try:
        yield directory, env
    finally:
        await asyncio.shield(asyncio.to_thread(shutil.rmtree, directory, True))


async def _authorization(found: GitUrl, client: Client | None) -> list[str]:
    """git's setting that sends the client's token or header, as BuildKit has it."""
    if client is None or found.is_ssh:
        return []
    for name, is_token in (
        (f"GIT_AUTH_HEADER.{found.host}", False),
        (f"GIT_AUTH_TOKEN.{found.host}", True),
        ("GIT_AUTH_HEADER", False),
        ("GIT_AUTH_TOKEN", True),
    ):
        value = await client.secret(name)
        if value is None:
            continue
        text = value.decode("utf-8", "replace").strip()
        if is_token:
            text = "basic " + base64.b64encode(f"x-access-token:{text}".encode()).decode()
        parts = urlsplit(found.remote)
        scope = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/"
        return [f"http.{scope}.extraheader\nAuthorization: {text}"]
    return []


@asynccontextmanager
async def _agent(
    found: GitUrl, client: Client | None, directory: Path
) -> AsyncIterator[dict[str, str]]:
    """The client's ssh agent as a socket that the helper may use."""
    agent = await client.ssh("default") if client is not None and found.is_ssh else None
    if agent is None:
        yield {}
        return
    server = AgentSocket(agent, directory / "agent")
    await server.listen(mode=0o600, uid=NOBODY, gid=NOBODY)
    try:
        yield {"SSH_AUTH_SOCK": f"{PLACE}/agent"}
    finally:
        await server.close()
