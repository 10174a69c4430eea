from __future__ import annotations

from pathlib import Path

from pierhead.engine.containers.logfiles import chain, hold


def rotate(directory: Path, text: str) -> None:
    """What conmon does: an empty file renamed over the log."""
    (directory / "new").write_text(text)
    (directory / "new").rename(directory / "container.log")


def texts(directory: Path) -> list[str]:
    return [path.read_text() for path in chain(directory)]


def test_shifts_and_drops(tmp_path: Path) -> None:
    (tmp_path / "container.log").write_text("1")
    hold(tmp_path, 3)
    for number in "2345":
        rotate(tmp_path, number)
        hold(tmp_path, 3)
        hold(tmp_path, 3)  # again: nothing happens
    assert texts(tmp_path) == ["3", "4", "5"]


def test_a_rotation_not_yet_shifted_is_read(tmp_path: Path) -> None:
    (tmp_path / "container.log").write_text("1")
    hold(tmp_path, 3)
    rotate(tmp_path, "2")
    assert texts(tmp_path) == ["1", "2"]


def test_one_file_keeps_nothing_old(tmp_path: Path) -> None:
    (tmp_path / "container.log").write_text("1")
    hold(tmp_path, 1)
    rotate(tmp_path, "2")
    hold(tmp_path, 1)
    assert texts(tmp_path) == ["2"]


def test_no_log_at_all(tmp_path: Path) -> None:
    hold(tmp_path, 3)
    assert chain(tmp_path) == [] == chain(tmp_path / "missing")
