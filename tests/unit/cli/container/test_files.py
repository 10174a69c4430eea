from __future__ import annotations

from pathlib import Path

from support.fake_cli import run


def test_diff() -> None:
    changes = [{"Path": "/a", "Kind": 0}, {"Path": "/b", "Kind": 1}, {"Path": "/c", "Kind": 2}]
    assert run("diff c", {"GET /containers/c/changes": changes}).out == "C /a\nA /b\nD /c\n"
    assert run("diff c", {"GET /containers/c/changes": None}).out == ""
    assert run(["diff", ""]).err == "Container name cannot be empty\n"


def test_export(tmp_path: Path) -> None:
    answers = {"GET /containers/c/export": b"tar"}
    target = tmp_path / "x.tar"
    assert run(f"export -o {target} c", answers).code == 0
    assert target.read_bytes() == b"tar"
    assert run(f"export -o {tmp_path} c", answers).err == (
        "failed to export container: cannot write to a directory\n"
    )
    assert "invalid output path" in run("export -o /nonexistent/x c", answers).err
