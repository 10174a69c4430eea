"""Messages for nf_tables; what the kernel made of them is read back by nft(8)."""

from __future__ import annotations

import errno
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from pierhead.linux import nft as nf
from pierhead.linux.nft import Element, Nft, NftError

TABLE = "pierhead-unittest"


def test_padding() -> None:
    assert nf.padded(b"\x06") == b"\x06\0\0\0"
    assert nf.padded(b"1234") == b"1234"
    assert nf.ifname("lo") == b"lo" + bytes(14)


def test_an_expression_is_name_and_data() -> None:
    got = nf.masquerade()
    assert got[2:4] == b"\x01\x80" and b"masq\0" in got
    assert len(got) % 4 == 0


def test_a_comment_is_user_data() -> None:
    assert b"\x00\x06hello\x00" in nf.add_rule("t", "c", comment="hello").payload


@pytest.fixture
def nft() -> Iterator[Nft]:
    one = Nft()
    try:
        one.transaction([nf.add_table(TABLE), nf.delete_table(TABLE), nf.add_table(TABLE)])
    except PermissionError:
        pytest.skip("needs CAP_NET_ADMIN")
    yield one
    one.transaction([nf.add_table(TABLE), nf.delete_table(TABLE)])
    one.close()


def listed() -> str:
    if shutil.which("nft") is None:
        pytest.skip("nft(8) is the witness")
    done = subprocess.run(["nft", "list", "table", "ip", TABLE], capture_output=True, text=True)
    if done.returncode < 0:
        pytest.skip("nft(8) crashed on somebody's table")
    return done.stdout


@pytest.mark.root
def test_sets_and_maps(nft: Nft) -> None:
    nft.transaction(
        [
            nf.add_set(TABLE, "names", 1, (nf.TYPE_IFNAME,), 16, byteorder=nf.HOST_ENDIAN),
            nf.add_set(
                TABLE, "nets", 2, (nf.TYPE_IPV4,), 4, interval=True, byteorder=nf.BIG_ENDIAN
            ),
            nf.add_set(
                TABLE,
                "ports",
                3,
                (nf.TYPE_PROTOCOL, nf.TYPE_SERVICE),
                8,
                data=(nf.TYPE_IPV4, nf.TYPE_SERVICE),
                data_bytes=8,
            ),
            *nf.add_elements(TABLE, "names", [Element(nf.ifname("pier0"))]),
            *nf.add_elements(
                TABLE, "nets", [Element(b"\x0a\0\0\0"), Element(b"\x0b\0\0\0", end=True)]
            ),
            *nf.add_elements(
                TABLE,
                "ports",
                [Element(b"\x06\0\0\0\x1f\x90\0\0", b"\x0a\0\0\x02\0\x50\0\0")],
            ),
        ]
    )
    text = listed()
    assert 'elements = { "pier0" }' in text
    assert "elements = { 10.0.0.0/8 }" in text
    assert "elements = { tcp . 8080 : 10.0.0.2 . 80 }" in text


@pytest.mark.root
def test_rules(nft: Nft) -> None:
    nft.transaction(
        [
            nf.add_chain(TABLE, "c", kind="filter", hook=nf.FORWARD, priority=5),
            nf.add_chain(TABLE, "other"),
            nf.add_rule(
                TABLE,
                "c",
                nf.meta(nf.META_IIFNAME),
                nf.compare(nf.ifname("nobody0")),
                nf.conntrack(nf.CT_STATE),
                nf.has_bits(6),
                nf.counter(),
                nf.verdict(nf.JUMP, "other"),
                comment="mine",
            ),
            nf.add_rule(
                TABLE,
                "c",
                nf.address_type(nf.FIB_DADDR),
                nf.compare(b"\x02\0\0\0"),
                nf.meta(nf.META_IIFNAME),
                nf.compare(nf.ifname("nobody0")),
                nf.verdict(nf.DROP),
                first=True,
            ),
        ]
    )
    chain = nft.chain(TABLE, "c")
    assert chain is not None and chain.policy == nf.ACCEPT
    assert [rule.comment for rule in chain.rules] == ["", "mine"]
    lines = [line.strip() for line in listed().splitlines()]
    assert 'fib daddr type local iifname "nobody0" drop' in lines
    counted = 'iifname "nobody0" ct state established,related counter packets 0 bytes 0 jump other'
    assert f'{counted} comment "mine"' in lines
    nft.transaction([nf.delete_rule(TABLE, chain.rules[1])])
    chain = nft.chain(TABLE, "c")
    assert chain is not None and len(chain.rules) == 1
    other = nft.chain(TABLE, "other")
    assert other is not None and other.policy is None


@pytest.mark.root
def test_all_or_nothing(nft: Nft) -> None:
    names = nf.add_set(TABLE, "names", 1, (nf.TYPE_IFNAME,), 16)
    missing = nf.delete_elements(TABLE, "names", [Element(nf.ifname("x"))])
    with pytest.raises(NftError) as caught:
        nft.transaction([names, *missing])
    assert caught.value.errno == errno.ENOENT
    assert "delete from set" in str(caught.value)
    with pytest.raises(NftError):
        nft.transaction(nf.add_elements(TABLE, "names", [Element(nf.ifname("x"))]))
    nft.transaction([])


@pytest.mark.root
def test_looking(nft: Nft) -> None:
    assert TABLE in nft.tables()
    assert nft.has_table(TABLE) and not nft.has_table("no-such-table")
    assert nft.chain(TABLE, "no-such-chain") is None
    assert nft.chain("no-such-table", "c") is None
