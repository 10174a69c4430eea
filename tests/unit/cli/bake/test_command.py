from __future__ import annotations

import json
import posix
from pathlib import Path

import pytest

from pierhead.cli.bake.command import BAKE, local_platform, overrides
from pierhead.cli.errors import Exit
from pierhead.cli.flags import parse
from support.fake_cli import run


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_usual_files(here: Path) -> None:
    (here / "docker-bake.hcl").write_text('target "default" { tags = ["a"] }')
    (here / "docker-bake.override.hcl").write_text('target "default" { tags = ["b"] }')
    found = json.loads(run("bake --print").out)
    assert found["target"]["default"]["tags"] == ["b"]
    assert found["group"] == {"default": {"targets": ["default"]}}


def test_files_variables_and_the_environment(here: Path) -> None:
    (here / "f").write_text('variable "V" { default = "x" }\ntarget "a" { tags = [V] }')
    assert json.loads(run("bake -f f --print a --var V=y").out)["target"]["a"]["tags"] == ["y"]
    posix.environ[b"V"] = b"z"  # type: ignore[index]
    try:
        assert json.loads(run("bake -f f --print a").out)["target"]["a"]["tags"] == ["z"]
    finally:
        del posix.environ[b"V"]  # type: ignore[arg-type]
    assert run("bake -f f --list variables").out.startswith("VARIABLE")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("bake --print", "ERROR: couldn't find a bake definition"),
        ("bake -f nope --print", "ERROR: open nope: no such file or directory"),
        ("bake --print --list targets", "--print and --list are mutually exclusive"),
        ("bake https://x/y.git", "bake files by URL are not implemented yet"),
        ("bake -f f --print nope", "ERROR: failed to find target nope"),
        ("bake -f f --print --var x", 'invalid variable "x", expected name=value'),
    ],
)
def test_complaints(line: str, told: str, here: Path) -> None:
    (here / "f").write_text('target "a" {}')
    if line == "bake --print":
        (here / "f").unlink()
    result = run(line)
    assert result.code == 1 and told in result.err


def test_faults_are_shown_in_their_file(here: Path) -> None:
    (here / "f.hcl").write_text('target "a" {\n  tags = [nope]\n}\n')
    with pytest.raises(Exit):
        run("bake -f f.hcl --print a")


def test_flags_are_overrides() -> None:
    options, _ = parse(
        BAKE.flags, ["--push", "--no-cache", "--sbom", "true", "--check", "--set", "a.b=c"]
    )
    assert overrides(options) == [
        "a.b=c",
        "*.push=true",
        "*.call=lint",
        "*.no-cache=true",
        "*.attest=type=sbom,disabled=false",
    ]


def test_our_platform() -> None:
    assert local_platform().startswith("linux/")
