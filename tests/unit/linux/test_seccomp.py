from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest

from pierhead.errors import InvalidParameter
from pierhead.linux import seccomp
from pierhead.oci import capabilities


def allowed(profile: dict[str, Any]) -> set[str]:
    return {
        name
        for rule in profile["syscalls"]
        if rule["action"] == "SCMP_ACT_ALLOW" and not rule.get("args")
        for name in rule["names"]
    }


def test_the_default_refuses_what_it_does_not_name() -> None:
    profile = seccomp.default_profile(capabilities.DEFAULT, "x86_64")
    assert profile["defaultAction"] == "SCMP_ACT_ERRNO"
    assert profile["defaultErrnoRet"] == 1
    assert {"read", "openat", "execve", "arch_prctl", "chroot"} <= allowed(profile)
    assert not {"mount", "unshare", "bpf", "keyctl", "add_key", "reboot"} & allowed(profile)


def test_capabilities_open_what_belongs_to_them() -> None:
    assert "mount" in allowed(seccomp.default_profile(["CAP_SYS_ADMIN"], "x86_64"))
    assert "bpf" in allowed(seccomp.default_profile(["CAP_BPF"], "x86_64"))
    assert "chroot" not in allowed(seccomp.default_profile([], "x86_64"))


def test_clone_may_make_no_namespaces_without_sys_admin() -> None:
    rules = seccomp.default_profile([], "x86_64")["syscalls"]
    clone = next(rule for rule in rules if rule["names"] == ["clone"])
    assert clone["args"][0]["value"] == 0x7E020000
    clone3 = next(rule for rule in rules if rule["names"] == ["clone3"])
    assert (clone3["action"], clone3["errnoRet"]) == ("SCMP_ACT_ERRNO", 38)


def test_architectures() -> None:
    arm = seccomp.default_profile([], "aarch64")
    assert arm["architectures"] == ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"]
    assert "arch_prctl" not in allowed(arm)
    assert "cacheflush" in allowed(arm)


FILE: dict[str, Any] = {
    "defaultAction": "SCMP_ACT_ERRNO",
    "archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]}],
    "syscalls": [
        {"name": "read", "action": "SCMP_ACT_ALLOW"},
        {"names": ["a"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_X", "CAP_Y"]}},
        {"names": ["b"], "action": "SCMP_ACT_ALLOW", "excludes": {"caps": ["CAP_X"]}},
        {"names": ["c"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["arm64"]}},
        {"names": ["d"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "999.0"}},
    ],
}


@pytest.mark.parametrize(
    ("caps", "names"),
    [([], {"read", "b"}), (["CAP_X"], {"read"}), (["CAP_X", "CAP_Y"], {"read", "a"})],
)
def test_a_profile_file_is_expanded(caps: list[str], names: set[str]) -> None:
    profile = seccomp.expand(FILE, caps, "x86_64")
    assert allowed(profile) == names
    assert profile["architectures"] == ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"]


@pytest.mark.parametrize(
    ("profile", "message"),
    [
        ({}, "defaultAction"),
        ({"defaultAction": "SCMP_ACT_WHAT"}, "unknown action"),
        ({**FILE, "architectures": ["SCMP_ARCH_X86"]}, "archMap"),
        ({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": ["x"]}, r"syscalls\[0\]"),
        (
            {
                "defaultAction": "SCMP_ACT_ALLOW",
                "syscalls": [{"names": ["x"], "action": "SCMP_ACT_ERRNO", "args": [{"op": "?"}]}],
            },
            "no known op",
        ),
    ],
)
def test_a_bad_profile_is_an_error_that_names_the_place(
    profile: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidParameter, match=message):
        seccomp.expand(profile, [], "x86_64")


def test_compiled_and_kept(tmp_path: Path) -> None:
    if seccomp._library() is None:
        pytest.skip("no libseccomp here")
    first = seccomp.SeccompCache(tmp_path).get(capabilities.DEFAULT)
    assert first.bpf is not None
    kept = list(tmp_path.glob("*.bpf"))
    assert len(kept) == 1
    assert kept[0].stat().st_size % struct.calcsize("=HBBI") == 0
    again = seccomp.SeccompCache(tmp_path).get(capabilities.DEFAULT)
    assert again == first


def test_without_the_library_the_plain_profile_serves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seccomp, "_library", lambda: None)
    found = seccomp.SeccompCache(tmp_path).get(capabilities.DEFAULT)
    assert found.bpf is None
    assert "read" in allowed(found.profile)
