from __future__ import annotations

import pytest

from support.fake_cli import run

COMMANDS = ("pull x:1", "push x:1", "create x", "run x")


@pytest.mark.parametrize("line", COMMANDS)
def test_content_trust_is_refused_rather_than_left_out(
    line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    command, _, image = line.partition(" ")
    result = run(f"{command} --disable-content-trust=false {image}", {})
    assert result.code and "content trust is not implemented yet" in result.err
    assert not result.requests
    import posix

    monkeypatch.setitem(posix.environ, b"DOCKER_CONTENT_TRUST", b"1")
    result = run(line, {})
    assert result.code and "content trust is not implemented yet" in result.err
    result = run(f"{command} --disable-content-trust {image}", {})
    assert "content trust" not in result.err


def test_the_newest_daemon_has_all() -> None:
    assert run("images --tree", {"GET /images/json": []}).code == 0
