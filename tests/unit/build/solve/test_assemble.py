"""The finished config: layers, history, times."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from pierhead.build.dockerfile import parse
from pierhead.build.plan.model import Plan
from pierhead.build.plan.planner import Base, Planner, Request
from pierhead.build.solve.assemble import assemble
from pierhead.build.solve.stage import StageResult
from pierhead.oci.digest import ChainId, ImageId
from pierhead.oci.image_config import History, ImageConfig, RunConfig
from pierhead.oci.platform import Platform

SECOND = 1_000_000_000
AMD64 = Platform("linux", "amd64")


def planned(text: str, **request: Any) -> Plan:
    planner = Planner(parse(text.encode()), Request(build_platform=AMD64, **request))
    base = ImageConfig(
        os="linux",
        architecture="amd64",
        created="2019-01-01T00:00:00Z",
        config=RunConfig(env=["PATH=/bin"]),
        history=[History(created="2019-01-01T00:00:00Z", created_by="base")],
    )
    while needs := planner.missing():
        for need in needs:
            planner.provide(need, Base(config=base, name="base"))
    return planner.finish()


class Snapshots:
    def layer(self, chain_id: str) -> Any:
        parents = {"c1": None, "c2": "c1", "c3": "c2"}
        return SimpleNamespace(
            chain_id=chain_id, diff_id=f"sha256:{chain_id}", parent=parents[chain_id]
        )


def image(plan: Plan, results: dict[int, StageResult]) -> Any:
    return assemble(
        plan,
        cast(Any, SimpleNamespace(results=results)),
        results[plan.target],
        cast(Any, Snapshots()),
        cast(Any, None),
        [],
        classic=False,
    )


def test_times_come_from_the_layers() -> None:
    plan = planned("FROM x\nENV A=1\nRUN a\nCMD b\nRUN c\nLABEL d=e\n")
    result = StageResult(
        chain_id=ChainId("c3"), created_ns=[None, 10 * SECOND, None, 20 * SECOND, None]
    )
    result.keys, result.times = [("k", ChainId("c3"))], {"k": 20 * SECOND}
    result.base_image = ImageId("sha256:i")
    made = image(plan, {0: result})
    assert made.chains == ("c1", "c2", "c3")
    assert made.config.rootfs.diff_ids == ["sha256:c1", "sha256:c2", "sha256:c3"]
    assert [entry.created for entry in made.config.history] == [
        "2019-01-01T00:00:00Z",
        "1970-01-01T00:00:10Z",
        "1970-01-01T00:00:10Z",
        "1970-01-01T00:00:10Z",
        "1970-01-01T00:00:20Z",
        "1970-01-01T00:00:20Z",
    ]
    assert made.config.created == "1970-01-01T00:00:20Z"
    assert made.cache_keys == (("k", "c3"),)
    assert made.cache_times == {"k": 20 * SECOND}
    assert made.base == "sha256:i"


def test_without_new_layers_the_bases_time_counts() -> None:
    plan = planned("FROM x\nCMD b\n")
    made = image(plan, {0: StageResult(chain_id=ChainId("c1"), created_ns=[None])})
    assert made.config.created == "2019-01-01T00:00:00Z"


def test_stages_on_stages_keep_their_history() -> None:
    plan = planned("FROM x AS a\nRUN a\nFROM a\nRUN b\n")
    made = image(
        plan,
        {
            0: StageResult(chain_id=ChainId("c2"), created_ns=[10 * SECOND]),
            1: StageResult(chain_id=ChainId("c3"), created_ns=[30 * SECOND]),
        },
    )
    assert [entry.created[11:19] for entry in made.config.history] == [
        "00:00:00",
        "00:00:10",
        "00:00:30",
    ]


def test_an_epoch_is_the_time_of_all_that_is_new() -> None:
    plan = planned("FROM x\nRUN a\nCMD b\n", epoch_s=5)
    made = image(plan, {0: StageResult(chain_id=ChainId("c2"), created_ns=[SECOND * 99, None])})
    assert [entry.created[17:19] for entry in made.config.history] == ["00", "05", "05"]
    assert made.config.created == "1970-01-01T00:00:05Z"


def test_the_platform_that_was_asked_for() -> None:
    plan = planned("FROM scratch\nCMD x\n", platform=Platform("linux", "arm", "v7"))
    made = image(plan, {0: StageResult(chain_id=None, created_ns=[None])})
    assert (made.config.architecture, made.config.variant) == ("arm", "v7")
    assert made.chains == ()


def test_layers_without_history_get_entries() -> None:
    plan = planned("FROM scratch\nCMD x\n")
    made = image(plan, {0: StageResult(chain_id=ChainId("c1"), created_ns=[None])})
    assert [entry.empty_layer for entry in made.config.history] == [False, True]
