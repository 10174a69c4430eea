from __future__ import annotations

from support.fake_cli import run


def test_all_are_tried() -> None:
    answers = {"DELETE /volumes/a": b"", "DELETE /volumes/b": (409, "volume is in use")}
    result = run("volume rm -f b a", answers)
    assert (result.code, result.out) == (1, "a\n")
    assert result.err == "Error response from daemon: volume is in use\n"
    assert result.requests[0].query == {"force": True}
