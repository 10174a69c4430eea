"""The corpus of Dockerfiles: ``tests/corpus/build/NN-name/``, each with context and ``case.toml``.

What ``case.toml`` may say:

- ``about``, and how it is built: ``dockerfile``, ``target``, ``build_args``, ``secrets`` (id to
  text), ``contexts`` (``--build-context``: directories of the case, or URLs), ``ssh`` (an agent's
  socket is given).
- ``setup``: a shell script that runs in a copy of the case and makes what git can't keep (modes,
  links, archives). ``serves``: a directory that is there over HTTP, as the build arg ``SERVER``;
  ``git``: a repository that ``setup`` made, served as ``GIT``.
- ``needs`` (``debian``, ``pypi``, ``npm``), ``slow``, ``long``; ``clients``, if not all can say
  what it needs.
- ``fails``: what the error says; ``classic_fails``: what the classic builder's says instead.
- ``docker20``: by which builder docker 20.10 builds it, too (``classic``, ``buildkit``, or "");
  ``ignore``, ``varies``, ``own_classic``, ``compare``: where results differ and may.
- ``[[check]]``: a command (or none, for the image's own) and what it prints; ``sorted``, if its
  lines come in any order.
"""

from __future__ import annotations

import contextlib
import functools
import http.server
import os
import platform
import shutil
import signal
import socket
import subprocess
import threading
import time
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[1] / "corpus" / "build"
EPOCH_S = 1_600_000_000
"""Every time in a copied context: git keeps none, and results should not depend on the clock."""
EVERYTHING = os.environ.get("PIERHEAD_CORPUS") == "all"
"""Else only a part is built where building all takes minutes: real applications, and docker
20.10's own images."""
ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


@dataclass(frozen=True, kw_only=True)
class Check:
    cmd: Sequence[str] = ()
    says: str = ""


@dataclass(frozen=True, kw_only=True)
class Case:
    name: str
    about: str
    dockerfile: str = "Dockerfile"
    target: str = ""
    build_args: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    contexts: Mapping[str, str] = field(default_factory=dict)
    setup: str = ""
    serves: str = ""
    git: str = ""
    ssh: bool = False
    needs: Sequence[str] = ()
    slow: bool = False
    long: bool = False
    """Slow, and left out unless ``EVERYTHING`` is wanted."""
    fails: str = ""
    classic_fails: str = ""
    clients: Sequence[str] = ("classic", "docker-py", "compose", "pier")
    docker20: str = "classic"
    own_classic: bool = False
    """The classic builder's layers are others: it drops empty ones, and so has other steps after
    them; and what a stage declares with ARG isn't there in stages upon it."""
    compare: bool = True
    ignore: Sequence[str] = ()
    """Paths (with all below) that docker 20.10 made otherwise; the case says why."""
    varies: Sequence[str] = ()
    """Paths (with all below) with another content each time: logs, build ids."""
    sorted: bool = False
    checks: Sequence[Check] = ()

    def __str__(self) -> str:
        return self.name


@functools.cache
def cases() -> list[Case]:
    return [_read(folder) for folder in sorted(FOLDER.iterdir()) if folder.is_dir()]


def marked(chosen: Iterable[Case]) -> list[Any]:
    """As parameters of a test."""
    return [
        pytest.param(case, id=case.name, marks=[pytest.mark.slow] if case.slow else [])
        for case in chosen
        if EVERYTHING or not case.long
    ]


def _read(folder: Path) -> Case:
    data: dict[str, Any] = tomllib.loads((folder / "case.toml").read_text())
    checks = [
        Check(cmd=row["cmd"], says=row["says"].replace("@ARCH@", ARCHITECTURE))
        for row in data.pop("check", [])
    ]
    return Case(name=folder.name, checks=checks, **data)


@dataclass(frozen=True)
class Prepared:
    """A case with its context in place."""

    case: Case
    context: Path
    build_args: Mapping[str, str]

    @property
    def dockerfile(self) -> Path:
        return self.context / self.case.dockerfile

    def arguments(self, tag: str, *, buildkit: bool) -> list[str]:
        """For ``docker build`` and ``pier build``; the context is the last of them."""
        found = ["-t", tag, "-f", str(self.dockerfile)]
        if self.case.target:
            found += ["--target", self.case.target]
        for key, value in self.build_args.items():
            found += ["--build-arg", f"{key}={value}"]
        if buildkit:
            for key in self.case.secrets:
                found += ["--secret", f"id={key},src={self.context.parent / key}"]
            for key, value in self.case.contexts.items():
                found += ["--build-context", f"{key}={self.of_context(value)}"]
            if self.case.ssh:
                found += ["--ssh", f"default={self.agent}"]
        return [*found, str(self.context)]

    @property
    def agent(self) -> Path:
        return self.context.parent / "agent"

    def of_context(self, value: str) -> str:
        return value if "://" in value else str(self.context / value)


@contextlib.contextmanager
def prepared(case: Case, base: Path) -> Iterator[Prepared]:
    """Copy, set up and serve a case below ``base``."""
    context = base / case.name / "context"
    shutil.copytree(FOLDER / case.name, context, symlinks=True)
    (context / "case.toml").unlink()
    for path in [context, *context.rglob("*")]:
        path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
    if case.setup:
        script = f"set -e; umask 022; {case.setup}"
        subprocess.run(["bash", "-c", script], cwd=context, check=True, timeout=60)
    for path in [*context.rglob("*"), context]:
        os.utime(path, (EPOCH_S, EPOCH_S), follow_symlinks=False)
    for key, value in case.secrets.items():
        (context.parent / key).write_text(value)
    with contextlib.ExitStack() as stack:
        args = dict(case.build_args)
        if case.serves:
            args["SERVER"] = stack.enter_context(_served(context / case.serves))
        if case.git:
            repository = context.parent / "git" / case.git
            repository.parent.mkdir()
            (context / case.git).rename(repository)
            args["GIT"] = stack.enter_context(_git_daemon(repository))
        found = Prepared(case, context, args)
        if case.ssh:
            # Nobody answers: that there is a socket is all that a step can see here.
            agent = stack.enter_context(socket.socket(socket.AF_UNIX))
            agent.bind(str(found.agent))
            agent.listen()
        yield found


@contextlib.contextmanager
def _git_daemon(repository: Path) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    argv = [
        *("git", "daemon", "--export-all", "--listen=127.0.0.1", f"--port={port}"),
        *("--reuseaddr", f"--base-path={repository.parent}", str(repository.parent)),
    ]
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=5).close()
                break
            except OSError:
                assert process.poll() is None, "git daemon has ended"
                assert time.monotonic() < deadline, "git daemon does not answer"
                time.sleep(0.02)
        yield f"git://127.0.0.1:{port}/{repository.name}"
    finally:
        # It has a child that does the work.
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


@contextlib.contextmanager
def _served(folder: Path) -> Iterator[str]:
    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args, directory=str(folder))

        def log_message(self, *args: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
