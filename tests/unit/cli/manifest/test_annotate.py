from __future__ import annotations

from pathlib import Path

import pytest

from pierhead.cli.manifest.record import named
from pierhead.cli.manifest.store import Store
from support.fake_cli import run

from .conftest import Keep


def test_only_what_is_given_changes(store: Store, keep: Keep, tmp_path: Path) -> None:
    keep("app:1", "app:arm")
    line = (
        "manifest annotate app:1 app:arm --arch arm --variant v7 --os-version 1"
        " --os-features one,two --os-features one"
    )
    assert run(line, config_dir=str(tmp_path)).code == 0
    platform = store.get(named("app:1"), named("app:arm")).platform
    assert platform == {
        "architecture": "arm",
        "os": "linux",
        "os.version": "1",
        "os.features": ["one", "two"],
        "variant": "v7",
    }
    assert run("manifest annotate app:1 app:arm --os freebsd", config_dir=str(tmp_path)).code == 0
    platform = store.get(named("app:1"), named("app:arm")).platform
    assert platform is not None and platform["os"] == "freebsd" and platform["variant"] == "v7"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("app:1 app:none", "manifest for image app:none does not exist in app:1"),
        ("APP:1 app:arm", "annotate: error parsing name for manifest list APP:1: "),
        ("app:1 ARM", "annotate: error parsing name for manifest ARM: "),
        (
            "app:1 app:arm --arch vax",
            "manifest entry for image has unsupported os/arch combination: /vax",
        ),
    ],
)
def test_errors_are_dockers(keep: Keep, tmp_path: Path, line: str, message: str) -> None:
    keep("app:1", "app:arm")
    result = run(f"manifest annotate {line}", config_dir=str(tmp_path))
    assert result.code == 1 and result.err.startswith(message)
