"""Docker 20.10 builds the corpus, too: config, history, trees, modes and owners are the same.

A private dockerd stands beside pierd, with the same base images. A case says by which of its two
builders it is compared (``docker20``): by the classic one all that it knows, history's words
included; BuildKit's words have changed since. And what is built on another data root is the same
to the byte.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from support import corpus, dockerd, saved
from support.command import Command
from support.corpus import Case, Prepared
from support.daemon import Pierd
from support.dockerd import Dockerd
from support.saved import Saved

pytestmark = pytest.mark.root

TIMEOUT_S = 1200
EPOCH = "SOURCE_DATE_EPOCH=1600000000"
CONFIG = (
    "Env", "Cmd", "Entrypoint", "WorkingDir", "User", "Labels", "ExposedPorts", "Volumes",
    "StopSignal", "Healthcheck", "OnBuild", "Shell",
)  # fmt: skip
HASH = re.compile(r"\b[0-9a-f]{64}\b")
SOME = ("20", "23", "24", "33", "41", "42", "50", "51", "59", "62", "64", "65", "69", "75", "76")
COMPARED = [
    case
    for case in corpus.cases()
    if case.docker20
    and not case.fails
    and (corpus.EVERYTHING or case.name.partition("-")[0] in SOME)
]
"""Docker takes a second for each step: without ``PIERHEAD_CORPUS=all`` those that show most."""
REPEATED = [case for case in corpus.cases() if case.compare and not case.fails and not case.slow][
    ::3
]
"""A third of them: each takes two builds, and they have the steps of all the others."""


@pytest.fixture(scope="module")
def other() -> Iterator[Dockerd]:
    dockerd.need()
    daemon = Dockerd()
    try:
        daemon.start()
        yield daemon
    finally:
        daemon.destroy()


@pytest.fixture(scope="module")
def theirs(other: Dockerd, docker20: Command, tmp_path_factory: pytest.TempPathFactory) -> Command:
    # With BuildKit the client writes into its configuration.
    config = tmp_path_factory.mktemp("config")
    env = {**docker20.env, "DOCKER_HOST": other.host, "DOCKER_CONFIG": str(config)}
    return Command("docker on dockerd", docker20.argv, env)


@pytest.fixture
def base(request: pytest.FixtureRequest, theirs: Command, pier: Command) -> Callable[[Case], None]:
    """Give dockerd the images that a case starts from."""

    def there(case: Case) -> None:
        names = ["busybox"]
        if "debian" in case.needs:
            names.append(request.getfixturevalue("debian"))
        for name in names:
            if theirs("image", "inspect", name, check=False).returncode:
                image = pier("save", name, timeout_s=300).stdout_bytes
                theirs("load", input=image, timeout_s=300)

    return there


@pytest.mark.parametrize("case", corpus.marked(COMPARED))
def test_the_same_image(
    case: Case,
    base: Callable[[Case], None],
    theirs: Command,
    docker20: Command,
    pier: Command,
    tmp_path: Path,
) -> None:
    base(case)
    classic = case.docker20 == "classic"
    tag = f"same:{case.name}"
    with corpus.prepared(case, tmp_path) as prepared:
        arguments = prepared.arguments(tag, buildkit=not classic)
        network = ["--network=host"] if case.needs else [] if classic else ["--network=none"]
        theirs(
            *("build", *network, *arguments),
            env={"DOCKER_BUILDKIT": "0" if classic else "1"},
            timeout_s=TIMEOUT_S,
        )
        if classic:
            docker20("build", *arguments, env={"DOCKER_BUILDKIT": "0"}, timeout_s=TIMEOUT_S)
        else:
            pier("build", "--progress=plain", *arguments, timeout_s=TIMEOUT_S)
    wanted = saved.read(theirs("save", tag, timeout_s=300).stdout_bytes)
    found = saved.read(pier("save", tag, timeout_s=300).stdout_bytes)
    assert config_of(found) == config_of(wanted)
    assert history_of(found, classic) == history_of(wanted, classic)
    assert len(found.layers) == len(wanted.layers)
    differences = differing(found, wanted, case)
    assert not differences, "\n".join(differences)
    assert found.links() == wanted.links()


def config_of(image: Saved) -> dict[str, Any]:
    config = image.config.get("config") or {}
    found = {key: config.get(key) or None for key in CONFIG}
    # The last "/" was kept then, and is dropped since.
    found["WorkingDir"] = (config.get("WorkingDir") or "").rstrip("/")
    return found | {
        "author": image.config.get("author") or None,
        "os": image.config["os"],
        "architecture": image.config["architecture"],
    }


def history_of(image: Saved, classic: bool) -> list[tuple[str, bool]]:
    """Docker's digests of copied files are its own; words count for the classic builder only."""
    return [(HASH.sub("...", text) if classic else "", empty) for text, empty in image.history]


def differing(found: Saved, wanted: Saved, case: Case) -> list[str]:
    """Paths whose type, mode, owner, content, link or attributes differ, with both."""
    lines = []
    for path in sorted(set(found.tree) | set(wanted.tree)):
        if below(path, case.ignore):
            continue
        ours, theirs = found.tree.get(path), wanted.tree.get(path)
        here = ours.described() if ours else ()
        there = theirs.described() if theirs else ()
        if below(path, case.varies):
            here, there = here[:3], there[:3]
        if here != there:
            lines.append(f"{path}: {here} here, {there} by Docker")
    return lines


def below(path: str, places: Sequence[str]) -> bool:
    return any(path == place or path.startswith(f"{place}/") for place in places)


def test_another_data_root_gives_the_same_digests(
    pier: Command, busybox: str, tmp_path: Path
) -> None:
    """With ``SOURCE_DATE_EPOCH``: all steps run twice, on two daemons, at other times."""
    again = Pierd("again")
    elsewhere = Command("pier elsewhere", pier.argv, {**pier.env, "DOCKER_HOST": again.host})
    try:
        again.start()
        elsewhere("load", input=pier("save", busybox).stdout_bytes)
        for case in REPEATED:
            with corpus.prepared(case, tmp_path) as prepared:
                ids = [digest(client, prepared) for client in (pier, elsewhere)]
            assert ids[0] == ids[1], case.name
    finally:
        again.destroy()


def digest(client: Command, prepared: Prepared) -> str:
    tag = f"again:{prepared.case.name}"
    arguments = prepared.arguments(tag, buildkit=True)
    client("build", "--progress=plain", "--build-arg", EPOCH, *arguments, timeout_s=TIMEOUT_S)
    return client("image", "inspect", "-f", "{{.Id}}", tag).out
