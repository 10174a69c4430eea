from __future__ import annotations

import pytest

from pierhead.cli.context.store import check, endpoint
from pierhead.cli.errors import CliError
from support.fake_cli import FakeCli, FakeClient


def test_names() -> None:
    check("default")
    with pytest.raises(CliError, match='context "other": context not found'):
        check("other")
    with pytest.raises(CliError, match="names are validated against regexp"):
        check("x")


def test_endpoint() -> None:
    cli = FakeCli("context ls", FakeClient({}, "1.56"), {}, "")
    assert endpoint(cli) == "unix:///run/test.sock"  # type: ignore[arg-type]
