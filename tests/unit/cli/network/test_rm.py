from __future__ import annotations

from support.fake_cli import run

ANSWERS = {"DELETE /networks/a": b"", "DELETE /networks/b": (404, "network b not found")}


def test_all_are_tried() -> None:
    result = run("network rm b a", ANSWERS)
    assert (result.code, result.out) == (1, "a\n")
    assert result.err == "Error response from daemon: network b not found\nexit status 1\n"


def test_force() -> None:
    result = run("network rm -f b a", ANSWERS)
    assert (result.code, result.out, result.err) == (0, "a\n", "")
