from __future__ import annotations

from support.fake_cli import run


def test_request() -> None:
    result = run("network disconnect -f n c", {"POST /networks/n/disconnect": None})
    assert result.request.body == {"Container": "c", "Force": True}
