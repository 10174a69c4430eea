from __future__ import annotations

from support.fake_cli import run


def test_rename() -> None:
    result = run("rename a b", {"POST /containers/a/rename": b""})
    assert (result.code, result.out, result.request.query) == (0, "", {"name": "b"})


def test_failures() -> None:
    assert run(["rename", "a", " "]).err == "Error: Neither old nor new names may be empty\n"
    result = run("rename a b", {"POST /containers/a/rename": (409, "taken")})
    assert result.err == (
        "Error response from daemon: taken\nError: failed to rename container named a\n"
    )
