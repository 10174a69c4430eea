"""Each Dockerfile of the corpus, built through each door, gives one image that does its work.

The first client to build a case runs its checks; the others must come to the same layers.
``PIERHEAD_CORPUS=all`` builds the long ones, too: some minutes.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support import corpus, plugins
from support.command import Command
from support.corpus import Case, Prepared
from support.http import Api

pytestmark = pytest.mark.root

TIMEOUT_S = 1200
"""For the slow ones: packages to fetch and sources to compile, on a busy machine."""
EMPTY = "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"
"""A layer that changes nothing: the classic builder leaves it out, BuildKit doesn't."""
HOSTS = {"pypi": "pypi.org", "npm": "registry.npmjs.org"}
Layers = dict[str, list[str]]
Build = Callable[[Prepared, str], str]
"""Builds under a tag; returns "" or what the client said when it failed."""


@pytest.fixture(scope="module")
def layers() -> Layers:
    """Of each case: what the first client's image has."""
    return {}


@pytest.fixture(scope="module")
def prepare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Case], Prepared]]:
    """Each case's context, the same for all clients."""
    base = tmp_path_factory.mktemp("corpus")
    made: dict[str, Prepared] = {}
    with contextlib.ExitStack() as stack:

        def context_of(case: Case) -> Prepared:
            if case.name not in made:
                made[case.name] = stack.enter_context(corpus.prepared(case, base))
            return made[case.name]

        yield context_of


def layers_of(api: Api, tag: str) -> list[str]:
    found = api.get(f"/images/{tag}/json").json["RootFS"]["Layers"]
    return [layer for layer in found if layer != EMPTY]


@pytest.fixture
def bases(request: pytest.FixtureRequest, busybox: str) -> Callable[[Case], None]:
    def there(case: Case) -> None:
        if "debian" in case.needs:
            request.getfixturevalue("debian")
        if case.git and shutil.which("git") is None:
            pytest.skip("no git on this machine")
        for need in case.needs:
            if need in HOSTS and not reachable(HOSTS[need]):
                pytest.skip(f"no way to {HOSTS[need]} from here")

    return there


def reachable(host: str) -> bool:
    try:
        socket.create_connection((host, 443), timeout=10).close()
    except OSError:
        return False
    return True


def by_pier(pier: Command) -> Build:
    def build(prepared: Prepared, tag: str) -> str:
        arguments = prepared.arguments(tag, buildkit=True)
        result = pier("build", "--progress=plain", *arguments, check=False, timeout_s=TIMEOUT_S)
        return str(result) if result.returncode else ""

    return build


def by_docker(docker: Command) -> Build:
    def build(prepared: Prepared, tag: str) -> str:
        arguments = prepared.arguments(tag, buildkit=False)
        classic = {"DOCKER_BUILDKIT": "0"}
        result = docker("build", *arguments, check=False, timeout_s=TIMEOUT_S, env=classic)
        return str(result) if result.returncode else ""

    return build


def by_docker_py(client: Any) -> Build:
    import docker.errors

    def build(prepared: Prepared, tag: str) -> str:
        try:
            client.images.build(
                path=str(prepared.context),
                dockerfile=prepared.case.dockerfile,
                tag=tag,
                target=prepared.case.target or None,
                buildargs=dict(prepared.build_args),
                rm=True,
                timeout=TIMEOUT_S,
            )
        except (docker.errors.BuildError, docker.errors.APIError) as error:
            return str(error)
        return ""

    return build


@pytest.fixture
def builders(request: pytest.FixtureRequest) -> Callable[[str], Build]:
    def of(client: str) -> Build:
        if client == "pier":
            return by_pier(request.getfixturevalue("pier"))
        if client == "classic":
            return by_docker(request.getfixturevalue("docker"))
        return by_docker_py(request.getfixturevalue("docker_py"))

    return of


@pytest.mark.parametrize("client", ["pier", "classic", "docker-py"])
@pytest.mark.parametrize("case", corpus.marked(corpus.cases()))
def test_builds(
    case: Case,
    client: str,
    builders: Callable[[str], Build],
    bases: Callable[[Case], None],
    layers: Layers,
    api: Api,
    pier: Command,
    prepare: Callable[[Case], Prepared],
) -> None:
    if client not in case.clients:
        pytest.skip(f"{client} has no way to say what this one needs")
    bases(case)
    tag = f"corpus-{client}:{case.name}"
    said = builders(client)(prepare(case), tag)
    if case.fails:
        expected = case.classic_fails if client != "pier" and case.classic_fails else case.fails
        assert expected in said, said or "it was built"
        return
    assert not said, said
    found = layers_of(api, tag)
    if client != "pier" and case.own_classic:
        return
    if case.name in layers:
        assert found == layers[case.name], "another image than by the client before"
        return
    layers[case.name] = found
    for check in case.checks:
        output = pier("run", "--rm", tag, *check.cmd, timeout_s=120).stdout
        if case.sorted:
            output = "".join(sorted(output.splitlines(keepends=True)))
        assert output == check.says


def compose_file(all_prepared: list[Prepared]) -> dict[str, Any]:
    services: dict[str, Any] = {}
    secrets: dict[str, Any] = {}
    for prepared in all_prepared:
        case = prepared.case
        build: dict[str, Any] = {
            "context": str(prepared.context),
            "dockerfile": case.dockerfile,
            # A dollar is Compose's own.
            "args": {key: value.replace("$", "$$") for key, value in prepared.build_args.items()},
        }
        if case.target:
            build["target"] = case.target
        if case.contexts:
            build["additional_contexts"] = {
                key: prepared.of_context(value) for key, value in case.contexts.items()
            }
        for key in case.secrets:
            name = f"{case.name}-{key}"
            secrets[name] = {"file": str(prepared.context.parent / key)}
            build.setdefault("secrets", []).append({"source": name, "target": key})
        services[f"s{case.name}"] = {"image": f"corpus-compose:{case.name}", "build": build}
    return {"services": services, "secrets": secrets}


def test_compose_builds_all_at_once(
    docker: Command,
    busybox: str,
    prepare: Callable[[Case], Prepared],
    layers: Layers,
    api: Api,
    tmp_path: Path,
) -> None:
    """Every one that isn't slow is a service; what others have built is the same here."""
    env = plugins.need("buildx", "compose", config=tmp_path / "config")
    chosen = [
        case
        for case in corpus.cases()
        if not case.slow and not case.fails and "compose" in case.clients
    ]
    file = tmp_path / "compose.yaml"
    file.write_text(json.dumps(compose_file([prepare(case) for case in chosen])))  # is YAML
    arguments = ("compose", "-p", "corpus", "-f", str(file), "build", "--quiet")
    docker(*arguments, env=env, timeout_s=TIMEOUT_S)
    for case in chosen:
        found = layers_of(api, f"corpus-compose:{case.name}")
        assert found == layers.setdefault(case.name, found), case.name
