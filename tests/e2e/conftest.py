"""One private daemon for the whole run, the stock clients pointed at it, leaks checked.

``PIERHEAD_E2E_HOST=unix:///path`` runs the same tests against a daemon that is there
already, dockerd for instance: that is how the tests themselves are checked against what
Docker does.
"""

from __future__ import annotations

import io
import itertools
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.command import Command
from support.daemon import Pierd
from support.http import Api

ROOT = Path(__file__).parents[2]
GIVEN_HOST = os.environ.get("PIERHEAD_E2E_HOST", "")
PIER_MAIN = ROOT / "src" / "pierhead" / "cli" / "__main__.py"


def _docker_paths() -> dict[str, str]:
    """Stock command lines on this machine by a short name; different versions each once."""
    found: dict[str, str] = {}
    versions: set[str] = set()
    for path in (shutil.which("docker"), "/usr/bin/docker", "/usr/local/bin/docker"):
        if not path or not os.access(path, os.X_OK):
            continue
        said = subprocess.run([path, "--version"], capture_output=True, text=True).stdout
        version = said.removeprefix("Docker version ").split(",")[0].split("+")[0]
        if not said.startswith("Docker version") or version in versions:
            continue  # podman's emulation, or the same one by another path
        versions.add(version)
        found[f"docker{version.split('.')[0]}"] = path
    return found


DOCKERS = _docker_paths()
NEWEST = max(DOCKERS, key=lambda name: int(name[6:]), default="")
CLIENTS = [*DOCKERS, "pier"]


class Engine:
    """The daemon under test; ``pierd`` is None when it is somebody else's."""

    def __init__(self) -> None:
        self.pierd: Pierd | None = None
        if GIVEN_HOST:
            self.host = GIVEN_HOST
        else:
            self.pierd = Pierd("e2e")
            self.host = self.pierd.host
            self.pierd.start()
            self.pierd.census.take()
        self.api = Api(self.host)

    @property
    def is_pierd(self) -> bool:
        return self.pierd is not None

    def close(self) -> None:
        if self.pierd is not None:
            self.pierd.destroy()


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    engine = Engine()
    yield engine
    engine.close()


@pytest.fixture
def pierd(engine: Engine) -> Pierd:
    """The daemon process, for tests that stop it."""
    if engine.pierd is None:
        pytest.skip("PIERHEAD_E2E_HOST names a daemon that is not ours to stop")
    return engine.pierd


@pytest.fixture(scope="session")
def api(engine: Engine) -> Api:
    return engine.api


def make_command(name: str, host: str) -> Command:
    env = {"DOCKER_HOST": host, "DOCKER_CONFIG": "/proc/nonexistent", "LC_ALL": "C.UTF-8"}
    if name == "pier":
        return Command("pier", [sys.executable, "-IS", str(PIER_MAIN)], env)
    return Command(name, [DOCKERS[name]], env)


@pytest.fixture(scope="session", params=CLIENTS)
def cli(request: pytest.FixtureRequest, engine: Engine, busybox: str) -> Command:
    """Each command line in turn: the stock ones that are installed, and pier."""
    return make_command(request.param, engine.host)


@pytest.fixture(scope="session")
def docker(engine: Engine, busybox: str) -> Command:
    """The newest stock command line."""
    if not NEWEST:
        pytest.skip("no docker command line on this machine")
    return make_command(NEWEST, engine.host)


@pytest.fixture(scope="session")
def docker20(engine: Engine, busybox: str) -> Command:
    """Debian 12's command line, API 1.41."""
    if "docker20" not in DOCKERS:
        pytest.skip("no docker 20.10 command line on this machine")
    return make_command("docker20", engine.host)


@pytest.fixture(scope="session")
def pier(engine: Engine, busybox: str) -> Command:
    return make_command("pier", engine.host)


@pytest.fixture
def docker_py(engine: Engine, busybox: str) -> Iterator[Any]:
    sdk = pytest.importorskip("docker")
    client = sdk.DockerClient(base_url=engine.host, timeout=60)
    yield client
    client.close()


def busybox_tar() -> bytes:
    """A root file system around the host's static busybox."""
    program = shutil.which("busybox")
    assert program is not None, "busybox-static is missing"
    applets = subprocess.run([program, "--list"], capture_output=True, text=True).stdout.split()
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:

        def add(
            name: str,
            kind: bytes = tarfile.DIRTYPE,
            *,
            data: bytes = b"",
            mode: int = 0o755,
            link: str = "",
        ) -> None:
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode, entry.size, entry.linkname = kind, mode, len(data), link
            tar.addfile(entry, io.BytesIO(data))

        for folder in ("bin", "etc", "home", "root", "usr", "usr/bin", "var", "dev", "proc", "sys"):
            add(folder)
        add("tmp", mode=0o1777)
        add("bin/busybox", tarfile.REGTYPE, data=Path(program).read_bytes())
        for applet in sorted(set(applets) - {"busybox"}):
            add(f"bin/{applet}", tarfile.SYMTYPE, link="busybox")
        users = b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/home:/bin/false\n"
        add("etc/passwd", tarfile.REGTYPE, data=users, mode=0o644)
        add("etc/group", tarfile.REGTYPE, data=b"root:x:0:\nnogroup:x:65534:\n", mode=0o644)
    return out.getvalue()


@pytest.fixture(scope="session")
def busybox(engine: Engine) -> str:
    """The image ``busybox``, made once: bootstrapped on pierd, imported elsewhere."""
    if engine.api.get("/images/busybox/json").status == 200:
        return "busybox"
    if engine.is_pierd:
        make_command("pier", engine.host)("image", "bootstrap", "busybox", timeout_s=120)
    else:
        answer = engine.api.post(
            "/images/create?fromSrc=-&repo=busybox&tag=latest&changes=CMD%20%5B%22sh%22%5D",
            busybox_tar(),
        )
        assert answer.status == 200, answer
    return "busybox"


@pytest.fixture(scope="session")
def debian(engine: Engine, pier: Command) -> str:
    """The image ``debian:bookworm``, made once, from the distribution's packages."""
    if engine.api.get("/images/debian:bookworm/json").status != 200:
        if not engine.is_pierd:
            pytest.skip("only pierd bootstraps images")
        pier("image", "bootstrap", "debian:bookworm", timeout_s=600)
    return "debian:bookworm"


@pytest.fixture
def alone(cli: Command, tmp_path: Path) -> Command:
    """The command line with a configuration directory of its own."""
    return Command(cli.name, cli.argv, {**cli.env, "DOCKER_CONFIG": str(tmp_path / "config")})


_numbers = itertools.count(1)


@pytest.fixture
def unique() -> Callable[[str], str]:
    """Names that no other test uses."""
    return lambda stem="c": f"{stem}-{os.getpid()}-{next(_numbers)}"


@pytest.fixture
def name(unique: Callable[[str], str]) -> str:
    return unique("c")


@pytest.fixture(autouse=True)
def tidy(engine: Engine) -> Iterator[None]:
    """Whatever a test leaves behind goes, so that the next starts on a clean floor."""
    yield
    api = engine.api
    try:
        left = api.get("/containers/json?all=1").json
    except OSError:
        return  # the test stopped the daemon for good; its own fault shows elsewhere
    for container in left:
        if container["State"] == "paused":
            api.post(f"/containers/{container['Id']}/unpause")
        api.delete(f"/containers/{container['Id']}?force=1&v=1", timeout_s=60)
    for network in api.get("/networks").json:
        if network["Name"] not in ("bridge", "host", "none"):
            api.delete(f"/networks/{network['Id']}")
    for volume in api.get("/volumes").json["Volumes"] or []:
        api.delete(f"/volumes/{volume['Name']}?force=1")


@pytest.fixture(autouse=True, scope="module")
def nothing_leaks(engine: Engine) -> Iterator[None]:
    """After each module: no mount, monitor, interface or rule more than before it."""
    yield
    if engine.pierd is None:
        return
    engine.pierd.remove_all_containers()
    left = engine.pierd.census.leftovers()
    engine.pierd.census.take()  # one leak is reported once
    assert not left, "left behind:\n" + "\n".join(left)
