"""What is missing is named with its package."""

from __future__ import annotations

import os

import pytest

from pierhead.daemon import requirements


def test_names_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    found = requirements.missing(
        runtimes={"crun": "/nonexistent/crun"}, conmon="nonexistent-conmon"
    )
    assert any("apt-get install crun" in line for line in found)
    assert any("apt-get install conmon" in line for line in found)


def test_root_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    (fault,) = requirements.missing(runtimes={}, conmon="sh")
    assert "root" in fault
