from __future__ import annotations

from typing import Any

import pytest

from pierhead.engine.networks import coexist
from pierhead.engine.networks.coexist import Neighbours, plan, plan_legacy
from pierhead.linux.nftables import NftError

Objects = list[dict[str, Any]]
MARK = "pierhead"


def chain(name: str, policy: str, *comments: str) -> Objects:
    rules = [
        {"rule": {"chain": name, "handle": number, "comment": comment}}
        for number, comment in enumerate(comments, start=10)
    ]
    return [{"metainfo": {}}, {"chain": {"name": name, "policy": policy}}, *rules]


OURS = ("pierhead:pier0:in", "pierhead:pier0:out")


def test_nothing_to_do_without_a_policy_of_drop() -> None:
    assert plan({"FORWARD": None}, ["pier0"], MARK) == []
    assert plan({"FORWARD": chain("FORWARD", "accept")}, ["pier0"], MARK) == []


def test_into_forward_or_better_into_docker_user() -> None:
    forward = chain("FORWARD", "drop", "somebody else's")
    assert plan({"FORWARD": forward}, ["pier0"], MARK) == [
        'insert rule ip filter FORWARD iifname "pier0" counter accept comment "pierhead:pier0:in"',
        'insert rule ip filter FORWARD oifname "pier0" counter accept comment "pierhead:pier0:out"',
    ]
    docker: Objects = [{"chain": {"name": "DOCKER-USER"}}]
    commands = plan({"FORWARD": forward, "DOCKER-USER": docker}, ["pier0"], MARK)
    assert all(" DOCKER-USER " in command for command in commands)


def test_what_is_there_stays() -> None:
    assert plan({"FORWARD": chain("FORWARD", "drop", *OURS)}, ["pier0"], MARK) == []


def test_what_is_not_needed_goes() -> None:
    delete = [f"delete rule ip filter FORWARD handle {number}" for number in (10, 11)]
    assert plan({"FORWARD": chain("FORWARD", "drop", *OURS)}, [], MARK) == delete
    assert plan({"FORWARD": chain("FORWARD", "accept", *OURS)}, ["pier0"], MARK) == delete


def test_rules_move_to_docker_user_when_it_comes() -> None:
    chains = {"FORWARD": chain("FORWARD", "drop", *OURS), "DOCKER-USER": chain("DOCKER-USER", "")}
    commands = plan(chains, ["pier0"], MARK)
    assert [command.split()[0] for command in commands] == ["delete", "delete", "insert", "insert"]


def test_another_daemons_rules_are_left_alone() -> None:
    forward = chain("FORWARD", "drop", "pierhead_other:x:in")
    assert plan({"FORWARD": forward}, [], MARK) == []


def test_dns_is_let_in_where_input_drops() -> None:
    commands = plan({"INPUT": chain("INPUT", "drop")}, ["pier0"], MARK)
    assert [command.split("pier0")[1][:14] for command in commands] == [
        '" udp dport 53',
        '" tcp dport 53',
    ]


def test_legacy() -> None:
    listing = "-P FORWARD DROP\n-A FORWARD -i eth0 -j ACCEPT\n"
    calls = plan_legacy(listing, ["pier0"], MARK)
    assert calls == [
        [
            "-I",
            "FORWARD",
            side,
            "pier0",
            "-m",
            "comment",
            "--comment",
            "pierhead:pier0",
            "-j",
            "ACCEPT",
        ]
        for side in ("-i", "-o")
    ]
    there = listing + "".join(f"-A {' '.join(call[1:])}\n" for call in calls)
    assert plan_legacy(there, ["pier0"], MARK) == []
    assert plan_legacy(there, [], MARK) == [["-D", *call[1:]] for call in calls]
    assert plan_legacy(listing.replace("DROP", "ACCEPT"), ["pier0"], MARK) == []


class FakeNft:
    def __init__(self, **chains: Objects) -> None:
        self.chains = chains
        self.listed = 0
        self.ran: list[str] = []

    def run_json(self, command: str) -> dict[str, Any]:
        self.listed += 1
        name = command.split()[-1]
        if name not in self.chains:
            raise NftError("No such file or directory")
        return {"nftables": self.chains[name]}

    def run(self, commands: str) -> str:
        self.ran.append(commands)
        return ""


def test_the_kernel_is_asked_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(coexist.time, "monotonic", lambda: now)
    nft = FakeNft(FORWARD=chain("FORWARD", "drop"))
    neighbours = Neighbours(nft, MARK)  # type: ignore[arg-type]
    neighbours.reconcile(["pier0"])
    assert len(nft.ran) == 1 and nft.listed == 3
    neighbours.reconcile(["pier0"])
    assert nft.listed == 3
    now += 6
    neighbours.reconcile(["pier0"])
    assert nft.listed == 6
    neighbours.reconcile(["pier0"], force=True)
    assert nft.listed == 9
