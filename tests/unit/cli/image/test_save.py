from __future__ import annotations

from pathlib import Path

from support.fake_cli import run

ANSWERS = {"GET /images/get": b"tar"}


def test_to_a_file(tmp_path: Path) -> None:
    target = tmp_path / "out.tar"
    result = run(f"save -o {target} a b", ANSWERS)
    assert (result.code, result.out) == (0, "")
    assert target.read_bytes() == b"tar"
    assert target.stat().st_mode & 0o777 == 0o600
    assert result.request.query == {"names": ["a", "b"]}


def test_nothing_is_left_of_a_failure(tmp_path: Path) -> None:
    assert run(f"save -o {tmp_path}/out a", {"GET /images/get": (404, "no such image")}).code == 1
    assert list(tmp_path.iterdir()) == []


def test_the_directory_is_checked_first(tmp_path: Path) -> None:
    result = run(f"save -o {tmp_path}/nowhere/x a", ANSWERS)
    assert result.code == 1
    assert "invalid output path" in result.err
    assert not result.requests


def test_to_stdout() -> None:
    assert run("save a", ANSWERS).out == "tar"
