"""Our answers, read by dnslib as witness; and whatever comes in, nothing breaks."""

from __future__ import annotations

import random
from ipaddress import IPv4Address

import pytest

from pierhead.engine.networks import dnswire

dnslib = pytest.importorskip("dnslib")


def ask(name: str, type_: str = "A") -> dnswire.Query:
    query = dnswire.parse_query(dnslib.DNSRecord.question(name, type_).pack())
    assert query is not None
    return query


def test_a_question_is_read() -> None:
    query = ask("Web.Example", "AAAA")
    assert (query.name, query.type, query.class_) == ("web.example", dnswire.AAAA, dnswire.IN)
    assert ask(".").name == ""


def test_addresses() -> None:
    query = ask("web")
    found = [IPv4Address("10.0.0.2"), IPv4Address("10.0.0.3")]
    got = dnslib.DNSRecord.parse(dnswire.addresses(query, found))
    assert got.header.id == query.id and got.header.qr and got.header.ra and got.header.rcode == 0
    assert [(str(rr.rname), str(rr.rdata), rr.ttl) for rr in got.rr] == [
        ("web.", "10.0.0.2", 600),
        ("web.", "10.0.0.3", 600),
    ]


def test_no_addresses_is_an_answer() -> None:
    got = dnslib.DNSRecord.parse(dnswire.addresses(ask("web", "AAAA"), []))
    assert got.header.rcode == 0 and got.rr == []


def test_too_many_are_cut_and_said_so() -> None:
    many = [IPv4Address(number) for number in range(1, 200)]
    data = dnswire.addresses(ask("web"), many)
    got = dnslib.DNSRecord.parse(data)
    assert len(data) <= dnswire.MAX_UDP and got.header.tc and len(got.rr) > 20
    assert len(dnslib.DNSRecord.parse(dnswire.addresses(ask("web"), many, limit=65535)).rr) == 199


def test_pointer() -> None:
    query = ask("2.0.18.172.in-addr.arpa", "PTR")
    assert dnswire.reverse_address(query.name) == IPv4Address("172.18.0.2")
    got = dnslib.DNSRecord.parse(dnswire.pointer(query, "web.net"))
    assert str(got.rr[0].rdata) == "web.net."


@pytest.mark.parametrize(
    "name", ["1.2.3.in-addr.arpa", "a.b.c.d.in-addr.arpa", "web", "x.ip6.arpa"]
)
def test_no_reverse_name(name: str) -> None:
    assert dnswire.reverse_address(name) is None


def test_errors() -> None:
    got = dnslib.DNSRecord.parse(dnswire.error(ask("web"), dnswire.SERVFAIL))
    assert got.header.rcode == dnswire.SERVFAIL and str(got.q.qname) == "web."


def test_what_is_an_answer_to_what() -> None:
    query = ask("web")
    answer = dnswire.addresses(query, [])
    assert dnswire.is_answer(query, answer)
    assert not dnswire.is_answer(ask("other"), answer)
    assert not dnswire.is_answer(query, dnslib.DNSRecord.question("web").pack()), "a question"
    assert not dnswire.is_answer(query, b"short")


def test_nonsense_breaks_nothing() -> None:
    dice = random.Random(5)
    good = dnslib.DNSRecord.question("a.long.name.example", "A").pack()
    for _ in range(5000):
        data = bytearray(good)
        for _ in range(dice.randrange(1, 6)):
            data[dice.randrange(len(data))] = dice.randrange(256)
        query = dnswire.parse_query(bytes(data[: dice.randrange(len(data) + 1)]))
        if query is not None:
            dnswire.addresses(query, [IPv4Address(1)])
    assert dnswire.parse_query(b"\0" * 12) is None
    assert dnswire.parse_query(good[:2] + b"\x80" + good[3:]) is None, "an answer is no question"
