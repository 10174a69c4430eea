"""A planner that is fed from a table of images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pierhead.build.dockerfile import parse
from pierhead.build.plan.model import Plan
from pierhead.build.plan.planner import Base, Planner, Request
from pierhead.oci.image_config import History, ImageConfig, RunConfig
from pierhead.oci.platform import Platform

AMD64 = Platform("linux", "amd64")

Make = Callable[..., Plan]


def busybox(**config: Any) -> ImageConfig:
    config.setdefault("env", ["PATH=/bin"])
    config.setdefault("cmd", ["sh"])
    return ImageConfig(
        os="linux",
        architecture="amd64",
        config=RunConfig(**config),
        history=[History(created="2020-01-01T00:00:00Z", created_by="base")],
    )


@pytest.fixture
def plan() -> Make:
    def make(
        text: str, images: dict[str, ImageConfig | None] | None = None, **request: Any
    ) -> Plan:
        known = {"busybox": busybox(), **(images or {})}
        request.setdefault("build_platform", AMD64)
        planner = Planner(parse(text.encode("utf-8", "surrogateescape")), Request(**request))
        while needs := planner.missing():
            for need in needs:
                name = need.name  # type: ignore[union-attr]
                planner.provide(need, Base(config=known.get(name), name=f"docker.io/{name}"))
        return planner.finish()

    return make
