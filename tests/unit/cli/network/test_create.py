from __future__ import annotations

import pytest

from pierhead.cli.network.create import ipam_config
from support.fake_cli import run


def test_request() -> None:
    result = run(
        "network create --subnet 10.0.0.0/24 --gateway 10.0.0.1 --ip-range 10.0.0.128/25 "
        "--aux-address host=10.0.0.5 --label a=1 -o x=y --ipv6 --internal n",
        {"POST /networks/create": {"Id": "abc", "Warning": "careful"}},
    )
    assert (result.out, result.err) == ("abc\n", "WARNING: careful\n")
    assert result.request.body == {
        "Name": "n",
        "Driver": "bridge",
        "Scope": "",
        "IPAM": {
            "Driver": "default",
            "Options": {},
            "Config": [
                {
                    "Subnet": "10.0.0.0/24",
                    "IPRange": "10.0.0.128/25",
                    "Gateway": "10.0.0.1",
                    "AuxiliaryAddresses": {"host": "10.0.0.5"},
                }
            ],
        },
        "Internal": True,
        "Attachable": False,
        "Ingress": False,
        "ConfigOnly": False,
        "ConfigFrom": None,
        "Options": {"x": "y"},
        "Labels": {"a": "1"},
        "EnableIPv6": True,
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], [], ["1.2.3.4"], {}), "every ip-range or gateway must have a corresponding subnet"),
        ((["10.0.0.0/8", "10.1.0.0/16"], [], [], {}), "multiple overlapping subnet"),
        ((["10.0.0.0/8"], ["11.0.0.0/24"], [], {}), "no matching subnet for range 11.0.0.0/24"),
        ((["10.0.0.0/8"], [], ["11.0.0.1"], {}), "no matching subnet for gateway 11.0.0.1"),
        ((["10.0.0.0/8"], [], [], {"a": "x"}), "no matching subnet for aux-address x"),
        ((["x"], [], ["10.0.0.1"], {}), "invalid subnet: invalid CIDR address: x"),
        (
            (["10.0.0.0/8", "11.0.0.0/8"], [], ["10.0.0.1", "10.0.0.2"], {}),
            r"cannot configure multiple gateways \(10.0.0.2, 10.0.0.1\)",
        ),
    ],
)
def test_refused(
    arguments: tuple[list[str], list[str], list[str], dict[str, str]], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        ipam_config(*arguments)
