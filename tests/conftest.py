"""Rules for every test: who may run here, and what a skipped test says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    needs_root = pytest.mark.skip(reason="needs root: namespaces, mounts, cgroups")
    for item in items:
        parts = item.path.relative_to(ROOT).parts
        if parts[:2] in (("tests", "integration"), ("tests", "e2e")):
            item.add_marker(pytest.mark.root)
        if item.get_closest_marker("root") and os.geteuid() != 0:
            item.add_marker(needs_root)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The reference material beside the checkout (API description, list of flags)."""
    folder = Path(os.environ.get("PIERHEAD_SHARED", ROOT.parent / "shared"))
    if not (folder / "reference").is_dir():
        pytest.skip(f"no {folder}/reference here: checks against it need it")
    return folder
