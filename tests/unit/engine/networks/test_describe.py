from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from pierhead.engine.filters import Filters
from pierhead.engine.networks.describe import (
    endpoint,
    parse_moment,
    rfc3339,
    select,
    summary,
    until,
)
from pierhead.engine.networks.model import IPAM, IPAMConfig, NetworkRecord
from pierhead.errors import InvalidParameter

S = 1_000_000_000
NETS = [
    NetworkRecord(id="b" * 64, name="bridge", created_ns=1),
    NetworkRecord(id="1" * 64, name="web", created_ns=2, labels={"a": "b"}),
    NetworkRecord(id="2" * 64, name="webdb", created_ns=3),
    NetworkRecord(id="0" * 64, name="none", created_ns=1, driver="null"),
]


def names(in_use: tuple[str, ...] = (), **filters: str) -> list[str]:
    parsed = Filters({key: [value] for key, value in filters.items()})
    return [record.name for record in select(NETS, parsed, in_use)]


def test_times_are_gos() -> None:
    assert rfc3339(0) == "1970-01-01T00:00:00Z"
    assert rfc3339(1_600_000_000 * S + 120_000_000) == "2020-09-13T12:26:40.12Z"


def test_filters() -> None:
    assert names(name="web") == ["web", "webdb"]
    assert names(id="1111") == ["web"]
    assert names(driver="null") == ["none"]
    assert names(label="a") == ["web"]
    assert names(type="builtin") == ["bridge", "none"]
    assert names(type="custom") == ["web", "webdb"]
    assert names(dangling="true", in_use=("1" * 64,)) == ["webdb"]
    assert "web" in names(dangling="false", in_use=("1" * 64,))
    assert names(scope="swarm") == []


def test_bad_filters() -> None:
    with pytest.raises(InvalidParameter, match="invalid filter 'colour'"):
        names(colour="red")
    with pytest.raises(InvalidParameter, match="invalid filter"):
        names(type="odd")


def test_summary_has_dockers_shape() -> None:
    record = NetworkRecord(
        id="1" * 64,
        name="n",
        created_ns=0,
        ipam=IPAM(config=[IPAMConfig(subnet="10.0.0.0/24", gateway="10.0.0.1")]),
    )
    got = summary(record)
    assert got["IPAM"] == {
        "Driver": "default",
        "Options": None,
        "Config": [{"Subnet": "10.0.0.0/24", "Gateway": "10.0.0.1"}],
    }
    assert got["ConfigFrom"] == {"Network": ""} and got["Scope"] == "local"


def test_endpoint() -> None:
    got = endpoint(
        name="c", endpoint_id="e", mac="m", address=IPv4Address("10.0.0.2"), prefix_len=24
    )
    assert got["IPv4Address"] == "10.0.0.2/24" and got["IPv6Address"] == ""


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("5", 5 * S),
        ("5.5", 5 * S + S // 2),
        ("1h30m", 10_000 * S - 5400 * S),
        ("1.5s", 10_000 * S - S * 3 // 2),
        ("1970-01-01T00:00:10Z", 10 * S),
        ("1970-01-01T01:00:10+01:00", 10 * S),
    ],
)
def test_moments(text: str, moment: int) -> None:
    assert parse_moment(text, now_ns=10_000 * S) == moment


@pytest.mark.parametrize("text", ["", "soon", "5x", "-1", "1h2"])
def test_no_moments(text: str) -> None:
    with pytest.raises(InvalidParameter):
        parse_moment(text, now_ns=0)


def test_until() -> None:
    assert until(Filters(), now_ns=0) is None
    assert until(Filters({"until": ["7"]}), now_ns=0) == 7 * S
    with pytest.raises(InvalidParameter):
        until(Filters({"until": ["7", "8"]}), now_ns=0)
