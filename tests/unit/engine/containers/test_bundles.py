from __future__ import annotations

from pathlib import Path

from pierhead.engine.containers.bundles import delete_bundle


def test_deletes_all_but_what_may_be_mounted(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    (bundle / "execs" / "x").mkdir(parents=True)
    (bundle / "execs" / "x" / "pidfile").touch()
    (bundle / "config.json").touch()
    (bundle / "rootfs").mkdir()
    precious = bundle / "rootfs" / "file"
    precious.touch()  # as if a snapshot were mounted there
    delete_bundle(bundle)
    assert [p.name for p in bundle.iterdir()] == ["rootfs"] and precious.exists()
    precious.unlink()
    delete_bundle(bundle)
    assert not bundle.exists()
    delete_bundle(bundle)
