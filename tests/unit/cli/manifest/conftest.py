"""A directory of lists, and images to put into it."""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from pierhead.cli.manifest.record import DOCKER_MANIFEST, Record, named
from pierhead.cli.manifest.store import Store
from support.fake_cli import FakeCli, FakeClient

Keep = Callable[..., Record]


def image(name: str, architecture: str = "amd64", os: str = "linux") -> Record:
    raw = json.dumps({"config": {"digest": f"sha256:{name}"}, "layers": []}, indent=3).encode()
    return Record(
        str(named(name)),
        DOCKER_MANIFEST,
        f"sha256:{sha256(raw).hexdigest()}",
        raw,
        {"architecture": architecture, "os": os},
    )


@pytest.fixture
def store(tmp_path: Path) -> Store:
    cli = FakeCli("manifest", FakeClient({}, "1.56"), {}, str(tmp_path))
    return Store(cli)  # type: ignore[arg-type]


@pytest.fixture
def keep(store: Store) -> Keep:
    """Put an image into a list."""

    def put(list_: str, name: str, architecture: str = "amd64", os: str = "linux") -> Record:
        record = image(name, architecture, os)
        store.save(named(list_), named(name), record)
        return record

    return put
