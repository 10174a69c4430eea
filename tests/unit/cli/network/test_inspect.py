from __future__ import annotations

from support.fake_cli import run

RAW = b'{"Name":"n","Id":"abc","Created":"2026-05-07T21:09:36Z","Containers":{}}'


def test_network() -> None:
    result = run(
        "network inspect -v -f {{.ID}}|{{.Created}}|{{.Containers}} n", {"GET /networks/n": RAW}
    )
    assert result.out == "abc|2026-05-07 21:09:36 +0000 UTC|map[]\n"
    assert result.request.query == {"verbose": "true"}
