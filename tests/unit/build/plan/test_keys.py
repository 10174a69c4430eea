"""Keys of steps, and what is said about a miss."""

from __future__ import annotations

from dataclasses import replace

from pierhead.build.files.model import CopyRequest
from pierhead.build.plan import keys
from pierhead.build.plan.model import RunOp, WorkdirOp
from pierhead.oci.digest import ChainId

BASE = ChainId("sha256:" + "0" * 64)
OP = RunOp(args=["/bin/sh", "-c", "make"], env=["A=1", "B=2"], user="u")


def test_equal_steps_have_equal_keys() -> None:
    other = replace(OP, env=["B=2", "A=1"], proxies=["http_proxy=x"])
    assert keys.key(keys.run(BASE, OP, [])) == keys.key(keys.run(BASE, other, []))


def test_all_that_matters_counts() -> None:
    parts = [
        keys.run(BASE, OP, []),
        keys.run(None, OP, []),
        keys.run(BASE, replace(OP, user="v"), []),
        keys.run(BASE, OP, [{"kind": "secret", "id": "x"}]),
        keys.run(BASE, OP, [], add_hosts=[("a", "1.2.3.4")]),
        keys.workdir(BASE, WorkdirOp(path="/x")),
        keys.copy(BASE, CopyRequest(destination="/x"), ["d"]),
        keys.copy(BASE, CopyRequest(destination="/x", chown="1"), ["d"]),
    ]
    assert len({keys.key(part) for part in parts}) == len(parts)


def test_a_linked_copy_does_not_count_its_base() -> None:
    request = CopyRequest(destination="/x", link=True)
    assert keys.copy(BASE, request, ["d"]) == keys.copy(None, request, ["d"])


def test_what_is_remembered_has_no_values() -> None:
    kept = keys.shortened(keys.run(BASE, replace(OP, env=["TOKEN=hunter2"]), []))
    assert "hunter2" not in str(kept)
    assert set(kept["env"]) == {"TOKEN"}


def test_why_it_was_a_miss() -> None:
    before = keys.shortened(keys.run(BASE, OP, []))

    def why(op: RunOp, base: ChainId | None = BASE) -> str:
        return keys.difference(before, keys.run(base, op, []))

    assert why(replace(OP, env=["A=2", "B=2"])) == "variable A changed"
    assert why(replace(OP, args=["x"], env=["C=1"])) == (
        "its command changed, variables A, B, C changed"
    )
    assert why(OP, None) == "a step before it changed"
    assert why(OP) == "its result is no longer kept"
    copied = keys.copy(BASE, CopyRequest(destination="/x"), ["d"])
    assert keys.difference(before, copied) == "no such step before"
    assert keys.difference(
        keys.shortened(copied), keys.copy(BASE, CopyRequest(destination="/x"), ["e"])
    ) == ("its files changed")
