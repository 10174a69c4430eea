from __future__ import annotations

from collections.abc import Iterable

from pierhead.engine.networks.coexist import Neighbours, plan, plan_legacy
from pierhead.linux.nft import ACCEPT, DROP, Chain, Message, NftError, Rule, ifname

MARK = "pierhead"
LINKS = ("pier0", "x", "lo")
OURS = ("pierhead:pier0:in", "pierhead:pier0:out")


def chain(name: str, policy: int | None, *comments: str) -> Chain:
    rules = [Rule(name, number, comment) for number, comment in enumerate(comments, start=10)]
    return Chain(policy, tuple(rules))


def what(messages: Iterable[Message]) -> list[str]:
    return [message.what for message in messages]


def test_nothing_to_do_without_a_policy_of_drop() -> None:
    assert plan({"FORWARD": None}, ["pier0"], MARK, LINKS) == []
    assert plan({"FORWARD": chain("FORWARD", ACCEPT)}, ["pier0"], MARK, LINKS) == []


def test_into_forward_or_better_into_docker_user() -> None:
    forward = chain("FORWARD", DROP, "somebody else's")
    messages = plan({"FORWARD": forward}, ["pier0"], MARK, LINKS)
    assert what(messages) == ["add rule filter FORWARD"] * 2
    assert all(ifname("pier0") in message.payload for message in messages)
    for comment, message in zip(OURS, messages, strict=True):
        assert comment.encode() in message.payload
    docker = chain("DOCKER-USER", None)
    messages = plan({"FORWARD": forward, "DOCKER-USER": docker}, ["pier0"], MARK, LINKS)
    assert what(messages) == ["add rule filter DOCKER-USER"] * 2


def test_what_is_there_stays() -> None:
    assert plan({"FORWARD": chain("FORWARD", DROP, *OURS)}, ["pier0"], MARK, LINKS) == []


def test_what_is_not_needed_goes() -> None:
    delete = [f"delete rule filter FORWARD {number}" for number in (10, 11)]
    assert what(plan({"FORWARD": chain("FORWARD", DROP, *OURS)}, [], MARK, LINKS)) == delete
    assert (
        what(plan({"FORWARD": chain("FORWARD", ACCEPT, *OURS)}, ["pier0"], MARK, LINKS)) == delete
    )


def test_one_that_was_half_removed_is_completed() -> None:
    messages = plan({"FORWARD": chain("FORWARD", DROP, OURS[0])}, ["pier0"], MARK, LINKS)
    assert what(messages) == ["add rule filter FORWARD"]


def test_rules_move_to_docker_user_when_it_comes() -> None:
    chains = {"FORWARD": chain("FORWARD", DROP, *OURS), "DOCKER-USER": chain("DOCKER-USER", None)}
    verbs = [text.split()[0] for text in what(plan(chains, ["pier0"], MARK, LINKS))]
    assert verbs == ["delete", "delete", "add", "add"]


def test_another_daemons_rules_are_left_alone() -> None:
    forward = chain("FORWARD", DROP, "pierhead_other:x:in")
    assert plan({"FORWARD": forward}, [], MARK, LINKS) == []


def test_rules_for_bridges_that_are_gone_go() -> None:
    forward = chain("FORWARD", DROP, "pierhead_old:old:in", "pierhead_x:br-1:out", "other:y:in")
    assert what(plan({"FORWARD": forward}, [], MARK, LINKS)) == [
        f"delete rule filter FORWARD {number}" for number in (10, 11)
    ]


def test_dns_is_let_in_where_input_drops() -> None:
    messages = plan({"INPUT": chain("INPUT", DROP)}, ["pier0"], MARK, LINKS)
    assert what(messages) == ["add rule filter INPUT"] * 2
    assert all(b"\0\x35" in message.payload for message in messages)


def test_legacy() -> None:
    listing = "-P FORWARD DROP\n-A FORWARD -i eth0 -j ACCEPT\n"
    calls = plan_legacy(listing, ["pier0"], MARK)
    comment = ["-m", "comment", "--comment", "pierhead:pier0"]
    assert calls == [
        ["-I", "FORWARD", side, "pier0", *comment, "-j", "ACCEPT"] for side in ("-i", "-o")
    ]
    there = listing + "".join(f"-A {' '.join(call[1:])}\n" for call in calls)
    assert plan_legacy(there, ["pier0"], MARK) == []
    assert plan_legacy(there, [], MARK) == [["-D", *call[1:]] for call in calls]
    assert plan_legacy(listing.replace("DROP", "ACCEPT"), ["pier0"], MARK) == []


class FakeNft:
    def __init__(self, fail: bool = False) -> None:
        self.fail = fail
        self.done: list[str] = []

    def chain(self, table: str, name: str) -> Chain | None:
        return chain(name, DROP) if name == "FORWARD" else None

    def transaction(self, messages: list[Message]) -> None:
        if self.fail:
            raise NftError(2, "No such file or directory")
        self.done += what(messages)


def test_reconcile() -> None:
    nft = FakeNft()
    Neighbours(nft, MARK).reconcile(["pier0"], LINKS)  # type: ignore[arg-type]
    assert nft.done == ["add rule filter FORWARD"] * 2


def test_a_rule_set_that_changes_meanwhile_is_no_error() -> None:
    Neighbours(FakeNft(fail=True), MARK).reconcile(["pier0"], LINKS)  # type: ignore[arg-type]
