from __future__ import annotations

from support.fake_cli import run


def test_report() -> None:
    result = run("network prune -f", {"POST /networks/prune": {"NetworksDeleted": ["a", "b"]}})
    assert result.out == "Deleted Networks:\na\nb\n\n"
    assert run("network prune -f", {"POST /networks/prune": {}}).out == ""
