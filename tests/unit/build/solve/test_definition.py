"""Reading the Dockerfile and its .dockerignore from wherever they are."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pierhead.build.files.model import Source, SourceKind, Transfer
from pierhead.build.model import BuildOptions, Wanted
from pierhead.build.solve.definition import Definition, load
from pierhead.build.solve.sources import Sources, Tree
from pierhead.errors import InvalidParameter

DOCKERFILE = b"FROM x\n"


class Fake:
    """``Sources`` of named trees; remembers what was asked."""

    def __init__(self, **trees: dict[str, bytes]) -> None:
        self.trees = trees
        self.asked: list[tuple[str, Wanted]] = []
        self.kind = SourceKind.CONTEXT

    @contextmanager
    def start(self, name: str, identity: str = "") -> Iterator[Any]:
        yield SimpleNamespace()

    def key(self, kind: str, name: str) -> str:
        return f"{kind}:{name}"

    async def local(
        self, name: str, wanted: Wanted, step: Any, what: str = ""
    ) -> tuple[Source, Transfer]:
        self.asked.append((name, wanted))
        return Source(kind=SourceKind.CONTEXT, name=name), Transfer()

    async def read(self, source: Source, path: str) -> bytes | None:
        return self.trees.get(source.name, {}).get(path)

    async def remote(self, url: str) -> Tree:
        return Tree(Source(kind=self.kind, name="remote"), "id")

    async def one_file(self, tree: Tree) -> bytes | None:
        return DOCKERFILE


def read(fake: Fake, **options: Any) -> Definition:
    return asyncio.run(load(BuildOptions(**options), cast(Sources, fake)))


def test_only_what_is_needed_is_asked_for() -> None:
    fake = Fake(context={"Dockerfile": DOCKERFILE, ".dockerignore": b"# no\nx\n"})
    found = read(fake)
    assert (found.name, found.data, list(found.ignore)) == ("Dockerfile", DOCKERFILE, ["x"])
    assert fake.asked[0][1].follow == (
        "Dockerfile",
        "Dockerfile.dockerignore",
        "dockerfile",
        ".dockerignore",
    )


def test_small_letters_will_do_and_the_own_rules_win() -> None:
    fake = Fake(
        context={
            "d/dockerfile": DOCKERFILE,
            "d/dockerfile.dockerignore": b"own",
            ".dockerignore": b"x",
        }
    )
    found = read(fake, dockerfile="d/Dockerfile")
    assert (found.name, list(found.ignore)) == ("d/dockerfile", ["own"])


def test_a_dockerfile_from_elsewhere() -> None:
    fake = Fake(dockerfile={"Dockerfile": DOCKERFILE}, context={".dockerignore": b"x"})
    found = read(fake, dockerfile_source="dockerfile")
    assert list(found.ignore) == ["x"]
    assert [name for name, _ in fake.asked] == ["dockerfile", "context"]
    found = read(Fake(), dockerfile_text=DOCKERFILE, context="")
    assert found.data == DOCKERFILE


def test_the_classic_leaves_out_two_files_only() -> None:
    fake = Fake(context={"Dockerfile": DOCKERFILE, ".dockerignore": b"*.md\nDocker*\n.docker*"})
    assert read(fake, classic=True).ignore == [".dockerignore", "Dockerfile"]


def test_remote_contexts() -> None:
    fake = Fake(remote={"Dockerfile": DOCKERFILE, ".dockerignore": b"Dockerfile"})
    found = read(fake, context="https://example.org/x.git")
    assert (found.data, found.ignore) == (DOCKERFILE, ())
    found = read(fake, context="https://example.org/x.git", classic=True)
    assert found.ignore == ["Dockerfile"]
    fake.kind = SourceKind.HTTP
    options = BuildOptions(context="https://example.org/Dockerfile")
    assert asyncio.run(load(options, cast(Sources, fake))).data == DOCKERFILE
    assert options.context == ""


@pytest.mark.parametrize(
    ("classic", "files", "message"),
    [
        (True, {}, "Cannot locate specified Dockerfile: Dockerfile"),
        (False, {}, "failed to read dockerfile: open Dockerfile: no such file or directory"),
        (True, {"Dockerfile": b""}, r"the Dockerfile \(Dockerfile\) cannot be empty"),
        (False, {"Dockerfile": b" \n"}, "the Dockerfile cannot be empty"),
        (
            False,
            {"Dockerfile": DOCKERFILE, ".dockerignore": b"[a"},
            "error reading .dockerignore: ",
        ),
    ],
)
def test_what_is_missing(classic: bool, files: dict[str, bytes], message: str) -> None:
    with pytest.raises(InvalidParameter, match=message):
        read(Fake(context=files), classic=classic)
