from __future__ import annotations

import pytest

from pierhead.engine.networks.names import (
    FALLBACK_NAMESERVERS,
    HostsFile,
    ResolvConf,
    container_resolv_conf,
    is_loopback,
    own_names,
    parse_extra_hosts,
    parse_resolv_conf,
)
from pierhead.errors import InvalidParameter


def test_resolv_conf_is_read_as_the_resolver_does() -> None:
    text = """# a comment
nameserver 10.0.0.1 ; another
nameserver 127.0.0.53
domain old.example
search a.example b.example
options edns0 trust-ad
options ndots:2
sortlist 1.2.3.4
nameserver
"""
    assert parse_resolv_conf(text) == ResolvConf(
        ("10.0.0.1", "127.0.0.53"), ("a.example", "b.example"), ("edns0", "trust-ad", "ndots:2")
    )


def lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if not line.startswith("#")]


def test_loopback_resolvers_are_left_out() -> None:
    host = ResolvConf(("127.0.0.53", "10.0.0.1", "::1", "fe80::1%eth0"), ("x.example",), ("edns0",))
    assert lines(container_resolv_conf(host)) == [
        "nameserver 10.0.0.1",
        "search x.example",
        "options edns0",
    ]


def test_without_any_resolver_there_are_public_ones() -> None:
    got = lines(container_resolv_conf(ResolvConf(("127.0.0.1",))))
    assert got == [f"nameserver {one}" for one in FALLBACK_NAMESERVERS]


def test_in_the_hosts_namespace_loopback_is_right() -> None:
    host = ResolvConf(("127.0.0.53",))
    assert lines(container_resolv_conf(host, keep_loopback=True)) == ["nameserver 127.0.0.53"]


def test_what_the_user_gave_replaces_the_hosts() -> None:
    host = ResolvConf(("10.0.0.1",), ("host.example",), ("edns0",))
    got = container_resolv_conf(
        host, nameservers=["9.9.9.9"], search=["mine.example"], options=["ndots:3"]
    )
    assert lines(got) == ["nameserver 9.9.9.9", "search mine.example", "options ndots:3"]
    assert "search" not in container_resolv_conf(host, search=["."])


def test_our_own_server_is_the_only_one() -> None:
    got = container_resolv_conf(ResolvConf(), nameservers=["9.9.9.9"], own_server="172.18.0.1")
    assert lines(got) == ["nameserver 172.18.0.1", "options ndots:0"]
    kept = container_resolv_conf(ResolvConf(), options=["ndots:1"], own_server="172.18.0.1")
    assert lines(kept)[-1] == "options ndots:1"


@pytest.mark.parametrize(("address", "expected"), [("127.0.0.53", True), ("10.0.0.1", False)])
def test_loopback(address: str, expected: bool) -> None:
    assert is_loopback(address) is expected


def test_hosts_file() -> None:
    hosts = HostsFile(
        own=[("172.17.0.3", ["box.example", "box"])],
        extra=[("db", "10.0.0.9")],
        links=[("172.17.0.2", ["alias", "0123456789ab", "name"])],
    )
    got = hosts.render().splitlines()
    assert got[0] == "127.0.0.1\tlocalhost"
    assert got[-3:] == [
        "10.0.0.9\tdb",
        "172.17.0.2\talias 0123456789ab name",
        "172.17.0.3\tbox.example box",
    ]


def test_extra_hosts() -> None:
    items = ["a:10.0.0.1", "b=10.0.0.2", "v6:::1", "v6b:[::2]", "gw:host-gateway"]
    assert parse_extra_hosts(items, "172.17.0.1") == [
        ("a", "10.0.0.1"),
        ("b", "10.0.0.2"),
        ("v6", "::1"),
        ("v6b", "::2"),
        ("gw", "172.17.0.1"),
    ]


@pytest.mark.parametrize("item", ["nothing", ":1.2.3.4", "a:", "a:nonsense", "gw:host-gateway"])
def test_bad_extra_hosts(item: str) -> None:
    with pytest.raises(InvalidParameter):
        parse_extra_hosts([item], "")


def test_names_of_a_container_for_itself() -> None:
    assert own_names("box", "") == ["box"]
    assert own_names("box", "example.com") == ["box.example.com", "box"]
    assert own_names("box.example.com", "") == ["box.example.com", "box"]
