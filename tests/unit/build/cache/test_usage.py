"""What the cache takes, as the API lists it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from pierhead.build.cache import usage
from pierhead.build.cache.store import Record
from pierhead.oci.digest import ChainId

ONE, TWO = ChainId("sha256:" + "1" * 64), ChainId("sha256:" + "2" * 64)


def record(key: str, chain: ChainId, **fields: Any) -> Record:
    return Record(
        key="sha256:" + key * 64, chain_id=chain, size_bytes=5, created_ns=1, used_ns=2, uses=3,
        **fields,
    )  # fmt: skip


def test_steps_mounts_and_sources() -> None:
    records = [
        record("a", ONE, description="RUN a"),
        record("b", TWO, parent=ONE, description="RUN b"),
        record("c", TWO, kind="alias"),
    ]
    cache = SimpleNamespace(records={each.key: each for each in records})
    index = SimpleNamespace(
        images={"i": SimpleNamespace(chains=(ONE,))},
        content=SimpleNamespace(held_chains={ONE: 1, TWO: 3}),
    )
    kept = {"created_ns": 1, "used_ns": 1, "uses": 1, "in_use": True, "size_bytes": 9}
    mounts = SimpleNamespace(list=lambda: [SimpleNamespace(id="m", name="/c", shared=True, **kept)])
    files = SimpleNamespace(usage=lambda: [SimpleNamespace(id="s", description="x", **kept)])
    found = usage.items(cast(Any, cache), cast(Any, index), cast(Any, mounts), cast(Any, files))
    shown = {item.description: item for item in found}
    assert set(shown) == {"RUN a", "RUN b", "cached mount /c", "x"}
    assert shown["RUN a"].shared and not shown["RUN a"].in_use
    # Two leases are the cache's own, one is a build's.
    assert shown["RUN b"].in_use and not shown["RUN b"].shared
    assert shown["RUN b"].parents == (shown["RUN a"].id,)
    document = usage.listed(found, None)[-1]
    assert document["Type"] == "regular"
    assert document["UsageCount"] == 3
