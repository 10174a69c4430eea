from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from pierhead.cli.build import command, perform
from pierhead.cli.build.command import BUILD, progress_mode, request_of
from pierhead.cli.build.door import BuildFailed
from pierhead.cli.errors import CliError, Exit
from pierhead.cli.flags import parse
from support.fake_cli import run


def request(*words: str) -> Any:
    options, args = parse(BUILD.flags, [*words, "."])
    return request_of(options, args[0])


def test_flags_become_a_request() -> None:
    made = request(
        *("-t", "a", "-t", "b", "--target", "t", "--platform", "linux/arm64", "--pull"),
        *("--secret", "id=s,env=E", "--ssh", "default", "--provenance", "mode=max"),
        *("--sbom", "false", "--push", "-m", "1g", "--shm-size", "64m", "--allow", "network.host"),
    )
    assert made.tags == ["a", "b"] and made.target == "t" and made.pull
    assert made.platforms == ["linux/arm64"]
    assert made.secrets == [{"id": "s", "env": "E"}]
    assert made.attestations == {"provenance": {"mode": "max"}, "sbom": None}
    assert made.outputs == [{"type": "image", "push": "true"}]
    assert made.limits == {"memory": 1 << 30, "shm_size": 64 << 20}
    assert made.allow == ["network.host"]


def test_the_environment() -> None:
    import posix

    posix.environ[b"SOURCE_DATE_EPOCH"] = b"7"  # type: ignore[index]
    posix.environ[b"PIER_TEST_A"] = b"x"  # type: ignore[index]
    try:
        assert request("--build-arg", "PIER_TEST_A").build_args == {
            "PIER_TEST_A": "x",
            "SOURCE_DATE_EPOCH": "7",
        }
    finally:
        del posix.environ[b"SOURCE_DATE_EPOCH"], posix.environ[b"PIER_TEST_A"]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["-o", "a=b,c=d"], "ERROR: type is required for output"),
        (["--iidfile", "x", "-o", "y"], "incompatible with image ID file"),
        (["--call", "x"], "unknown print function"),
    ],
)
def test_complaints(words: list[str], told: str) -> None:
    with pytest.raises(CliError, match=told):
        request(*words)


def test_progress() -> None:
    def mode(*words: str) -> tuple[str, bool]:
        return progress_mode(parse(BUILD.flags, words)[0])

    assert mode() == ("auto", False)
    assert mode("--progress", "plain") == ("plain", False)
    assert mode("--progress", "none") == ("quiet", False)
    assert mode("-q") == mode("--progress", "quiet") == ("quiet", True)
    with pytest.raises(CliError, match="progress=tty and quiet cannot be used together"):
        mode("-q", "--progress", "tty")


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What a build gives; ``error`` is raised instead. ``extra`` is what START had."""
    told: dict[str, Any] = {"result": {"metadata": {"containerimage.digest": "sha256:1"}}}

    def build(*_: Any, extra: dict[str, Any] | None = None, **__: Any) -> Any:
        told["extra"] = extra
        if "error" in told:
            raise told["error"]
        return told["result"]

    monkeypatch.setattr(perform, "build", build)
    return told


def test_the_end(answer: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "id"
    result = run(f"build -q --iidfile {path} --metadata-file {tmp_path}/m {tmp_path}")
    assert result.out == "sha256:1\n" and path.read_text() == "sha256:1"
    assert "sha256:1" in (tmp_path / "m").read_text()


def test_a_failure_leaves_no_old_id(answer: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "id"
    path.write_text("old")
    answer["error"] = BuildFailed({"message": "no", "kind": "invalid", "debug_id": "abc"})
    with pytest.raises(Exit) as end:
        run(f"build --iidfile {path} {tmp_path}")
    assert end.value.code == 1 and not path.exists()


def test_checks(answer: dict[str, Any], tmp_path: Path) -> None:
    answer["result"] = {"described": {"warnings": []}}
    result = run(f"build --check {tmp_path}")
    assert result.out == "Check complete, no warnings found.\n" and result.code == 0
    assert answer["extra"] == {"call": "check"}
    answer["result"] = {"described": {"warnings": [{"ruleName": "R", "detail": "d"}]}}
    assert run(f"build --call check {tmp_path}").code == 1
    assert run(f"build --call check,ignorestatus=true {tmp_path}").code == 0
    assert run(f"build --call check,format=json {tmp_path}").out.startswith('{\n  "warnings"')
    answer["result"] = {"described": {"targets": [{"name": "a"}]}}
    assert "a" in run(f"build --call targets {tmp_path}").out
    answer["result"] = {"described": {"args": [{"name": "A"}]}}
    assert "BUILD ARG" in run(f"build --call outline {tmp_path}").out
    assert os.path.isdir(tmp_path) and command.FLAGS


def test_there_is_one_builder(answer: dict[str, Any], tmp_path: Path) -> None:
    assert run(f"build -q --builder default {tmp_path}").code == 0
    result = run(f"build --builder other {tmp_path}")
    assert result.code == 1 and 'no builder "other" found' in result.err
    assert "deprecated" in run(f"build -q --security-opt x {tmp_path}").err
