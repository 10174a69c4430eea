"""Steps for other machines: what binfmt_misc has."""

from __future__ import annotations

from pathlib import Path

import pytest

from pierhead.build.execute.emulation import interpreter
from pierhead.errors import InvalidParameter
from pierhead.oci.platform import Platform


def ask(architecture: str, binfmt: Path) -> str | None:
    return interpreter(Platform("linux", architecture), machine="x86_64", binfmt=binfmt)


def test_the_machine_s_own_needs_none(tmp_path: Path) -> None:
    assert ask("amd64", tmp_path) is None
    assert ask("386", tmp_path) is None
    assert interpreter(None) is None


def test_an_emulator_that_is_open_already_or_must_be_there(tmp_path: Path) -> None:
    text = "enabled\ninterpreter /usr/bin/qemu-aarch64-static\nflags: {}\noffset 0\n"
    (tmp_path / "qemu-aarch64").write_text(text.format("OCF"))
    assert ask("arm64", tmp_path) is None
    (tmp_path / "qemu-aarch64").write_text(text.format(""))
    assert ask("arm64", tmp_path) == "/usr/bin/qemu-aarch64-static"


def test_none_names_the_package(tmp_path: Path) -> None:
    (tmp_path / "qemu-s390x").write_text("disabled\n")
    for architecture in ("s390x", "riscv64"):
        with pytest.raises(InvalidParameter, match="qemu-user-static"):
            ask(architecture, tmp_path)
