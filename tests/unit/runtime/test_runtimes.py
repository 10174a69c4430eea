from __future__ import annotations

from pathlib import Path

import pytest

from pierhead.errors import Unavailable
from pierhead.runtime.crun import Runtime
from pierhead.runtime.runtimes import Runtimes
from pierhead.store.paths import Paths


@pytest.fixture
def runtimes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runtimes:
    prepared: list[str] = []

    def prepare(runtime: Runtime) -> None:
        if runtime.binary == "missing":
            raise Unavailable("install the package missing")
        prepared.append(runtime.binary)

    monkeypatch.setattr(Runtime, "prepare", prepare)
    paths = Paths(tmp_path / "data", tmp_path / "exec")
    made = Runtimes(paths, Runtime(paths, "crun"))
    made.prepared = prepared  # type: ignore[attr-defined]
    return made


def test_names_of_the_configuration(runtimes: Runtimes) -> None:
    binaries = {"crun": "crun", "other": "/opt/other", "same": "crun", "gone": "missing"}
    assert runtimes.named("crun", binaries) is runtimes.default
    assert runtimes.named("same", binaries) is runtimes.default
    assert runtimes.named("io.containerd.runc.v2", binaries) is runtimes.default
    other = runtimes.named("other", binaries)
    assert other.binary == "/opt/other" and runtimes.named("other", binaries) is other
    assert runtimes.by_binary("/opt/other") is other
    assert runtimes.prepared == ["/opt/other"]  # type: ignore[attr-defined]
    with pytest.raises(Unavailable, match="install"):
        runtimes.named("gone", binaries)
    runtimes.close()


def test_states_are_in_one_place(runtimes: Runtimes) -> None:
    assert runtimes.by_binary("/opt/other").state_dir("x") == runtimes.default.state_dir("x")
