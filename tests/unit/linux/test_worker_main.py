from __future__ import annotations

from pierhead.errors import NotFound
from pierhead.linux import worker_main


def test_errors_as_the_other_side_reads_them() -> None:
    assert worker_main._describe(NotFound("no x")) == {"kind": "not_found", "message": "no x"}
    described = worker_main._describe(FileNotFoundError(2, "No such file", b"/x"))
    assert described == {
        "kind": "os",
        "errno": 2,
        "message": "No such file",
        "filename": "/x",
    }
    described = worker_main._describe(ValueError("bad"))
    assert described["kind"] == "internal"
    assert described["message"] == "ValueError: bad"
    assert "ValueError" in described["trace"]
