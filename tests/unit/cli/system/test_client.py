from __future__ import annotations

import sys

from pierhead.cli.system.client import client_version
from support.fake_cli import FakeCli, FakeClient


def test_facts() -> None:
    cli = FakeCli("version", FakeClient({}, "1.41"), {}, "")
    facts = client_version(cli, negotiated=True)  # type: ignore[arg-type]
    assert facts["APIVersion"] == "1.41"
    assert facts["DefaultAPIVersion"] == "1.56"
    assert facts["GoVersion"] == f"python{sys.version.split()[0]}"
    assert client_version(cli, negotiated=False)["APIVersion"] == ""  # type: ignore[arg-type]
