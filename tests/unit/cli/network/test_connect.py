from __future__ import annotations

import pytest

from pierhead.cli.network.connect import check_link
from support.fake_cli import run


def test_request() -> None:
    result = run(
        "network connect --ip 10.0.0.5 --alias a,b --link x:y --driver-opt k=v --gw-priority 3 n c",
        {"POST /networks/n/connect": None},
    )
    assert result.code == 0
    assert result.request.body == {
        "Container": "c",
        "EndpointConfig": {
            "IPAMConfig": {"IPv4Address": "10.0.0.5"},
            "Links": ["x:y"],
            "Aliases": ["a", "b"],
            "DriverOpts": {"k": "v"},
            "GwPriority": 3,
        },
    }


def test_refused() -> None:
    assert run("network connect --driver-opt x n c", {}).err == (
        "invalid key/value pair format in driver options\n"
    )
    with pytest.raises(ValueError, match="bad format for links: a:b:c"):
        check_link("a:b:c")
    assert check_link("a") == "a"
