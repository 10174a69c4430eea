from __future__ import annotations

import pytest

from support.fake_cli import run


def test_request() -> None:
    result = run("tag a:1 localhost:5000/b/c:2", {"POST /images/a%3A1/tag": None})
    assert result.code == 0
    assert result.request.query == {"repo": "localhost:5000/b/c", "tag": "2"}
    assert run("tag a b", {"POST /images/a/tag": None}).request.query["tag"] == "latest"
    assert run(f"tag {'a' * 64} b", {f"POST /images/{'a' * 64}/tag": None}).code == 0


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("tag a UPPER", '"UPPER" is not a valid repository/tag: invalid reference format: repo'),
        (f"tag a b@sha256:{'a' * 64}", "refusing to create a tag with a digest reference"),
    ],
)
def test_refused(line: str, message: str) -> None:
    result = run(line, {})
    assert result.code == 1
    assert message in result.err
