"""The default seccomp profile, as Docker's, and its compiled form.

Docker's default allows a long list of system calls, some only with a capability or on an
architecture, and answers EPERM to the rest. crun 1.8 compiles a profile with libseccomp
at every start (14 ms); given the annotation ``run.oci.seccomp_bpf_data`` it loads BPF
that was compiled before. The cache is keyed by the expanded profile. We compile with
libseccomp as crun does, rule for rule; without the library there's only the plain
profile, and crun compiles.
"""

from __future__ import annotations

import base64
import ctypes
import hashlib
import json
import logging
import os
import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from pierhead.errors import InvalidParameter
from pierhead.linux import seccomp_calls as calls

log = logging.getLogger(__name__)

Profile = dict[str, Any]

# os.uname().machine → Go's name, libseccomp's names (native first)
_ARCHITECTURES: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "x86_64": ("amd64", ("SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32")),
    "aarch64": ("arm64", ("SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM")),
    "riscv64": ("riscv64", ("SCMP_ARCH_RISCV64",)),
    "s390x": ("s390x", ("SCMP_ARCH_S390X", "SCMP_ARCH_S390")),
    "ppc64le": ("ppc64le", ("SCMP_ARCH_PPC64LE",)),
    "loongarch64": ("loong64", ("SCMP_ARCH_LOONGARCH64",)),
}

_ACTIONS: Final = {
    "SCMP_ACT_KILL": 0x00000000,
    "SCMP_ACT_KILL_THREAD": 0x00000000,
    "SCMP_ACT_KILL_PROCESS": 0x80000000,
    "SCMP_ACT_TRAP": 0x00030000,
    "SCMP_ACT_ERRNO": 0x00050000,
    "SCMP_ACT_TRACE": 0x7FF00000,
    "SCMP_ACT_LOG": 0x7FFC0000,
    "SCMP_ACT_ALLOW": 0x7FFF0000,
}
_WITH_ERRNO: Final = ("SCMP_ACT_ERRNO", "SCMP_ACT_TRACE")
_OPERATORS: Final = {
    "SCMP_CMP_NE": 1,
    "SCMP_CMP_LT": 2,
    "SCMP_CMP_LE": 3,
    "SCMP_CMP_EQ": 4,
    "SCMP_CMP_GE": 5,
    "SCMP_CMP_GT": 6,
    "SCMP_CMP_MASKED_EQ": 7,
}
_EPERM: Final = 1
_ENOSYS: Final = 38
_ALLOW: Final = "SCMP_ACT_ALLOW"


@dataclass(frozen=True, slots=True)
class Seccomp:
    """What the runtime spec gets: the plain profile, and the BPF (base64) if there is one."""

    profile: Profile  # linux.seccomp of the runtime spec
    bpf: str | None


def _kernel() -> tuple[int, int]:
    match = re.match(r"(\d+)\.(\d+)", os.uname().release)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def default_profile(capabilities: Collection[str], arch: str | None = None) -> Profile:
    """The default profile as ``linux.seccomp``, for a process with these capabilities.

    ``arch`` is ``os.uname().machine``'s word, None for this machine.
    """
    machine = arch or os.uname().machine
    go_arch, names = _ARCHITECTURES.get(machine, (machine, ()))
    allowed = set(calls.ALWAYS.split())
    if _kernel() >= (4, 8):
        allowed.update(calls.SINCE_4_8.split())
    for capability, more in calls.BY_CAPABILITY:
        if capability in capabilities:
            allowed.update(more.split())
    for arches, more in calls.BY_ARCHITECTURE:
        if go_arch in arches:
            allowed.update(more.split())
    rules: list[dict[str, Any]] = [{"names": sorted(allowed), "action": _ALLOW}]
    low, high = calls.REFUSED_FAMILIES
    for operator, value in (
        ("SCMP_CMP_LT", low),
        ("SCMP_CMP_EQ", low + 1),
        ("SCMP_CMP_GT", high),
    ):
        rules.append(_compare("socket", 0, operator, value))
    for value in calls.PERSONALITIES:
        rules.append(_compare("personality", 0, "SCMP_CMP_EQ", value))
    if "CAP_SYS_ADMIN" not in capabilities:
        flags_index = 1 if go_arch.startswith("s390") else 0
        rules.append(_compare("clone", flags_index, "SCMP_CMP_MASKED_EQ", calls.NAMESPACE_FLAGS, 0))
        # glibc falls back to clone, whose flags can be looked at, only for this errno
        rules.append({"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": _ENOSYS})
    profile: Profile = {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": _EPERM,
        "syscalls": rules,
    }
    if names:
        profile["architectures"] = list(names)
    return profile


def _compare(
    name: str, index: int, operator: str, value: int, value_two: int | None = None
) -> dict[str, Any]:
    argument = {"index": index, "value": value, "op": operator}
    if value_two is not None:
        argument["valueTwo"] = value_two
    return {"names": [name], "action": _ALLOW, "args": [argument]}


def expand(profile: Profile, capabilities: Collection[str], arch: str | None = None) -> Profile:
    """A profile in Docker's file format (``--security-opt seccomp=file``) → ``linux.seccomp``.

    Resolves archMap, includes and excludes (capabilities, architectures, minKernel).
    Raises ``InvalidParameter`` naming what is wrong.
    """
    machine = arch or os.uname().machine
    go_arch, names = _ARCHITECTURES.get(machine, (machine, ()))
    if not isinstance(profile, dict) or not isinstance(profile.get("defaultAction"), str):
        raise InvalidParameter('Decoding seccomp profile failed: "defaultAction" is missing')
    if profile.get("architectures") and profile.get("archMap"):
        raise InvalidParameter(
            "'architectures' and 'archMap' were specified in the seccomp profile, use either "
            "'architectures' or 'archMap'"
        )
    result: Profile = {"defaultAction": _action(profile["defaultAction"], "defaultAction")}
    if profile.get("defaultErrnoRet") is not None:
        result["defaultErrnoRet"] = profile["defaultErrnoRet"]
    architectures = list(profile.get("architectures") or ())
    for entry in profile.get("archMap") or ():
        if names and entry.get("architecture") == names[0]:
            architectures = [names[0], *(entry.get("subArchitectures") or ())]
            break
    if architectures:
        result["architectures"] = architectures
    for key in ("flags", "listenerPath", "listenerMetadata"):
        if profile.get(key):
            result[key] = profile[key]
    result["syscalls"] = [
        rule
        for number, call in enumerate(profile.get("syscalls") or ())
        if (rule := _expand_rule(call, number, set(capabilities), go_arch)) is not None
    ]
    return result


def _expand_rule(
    call: Any, number: int, capabilities: set[str], go_arch: str
) -> dict[str, Any] | None:
    where = f"syscalls[{number}]"
    if not isinstance(call, dict):
        raise InvalidParameter(f"Decoding seccomp profile failed: {where} is not an object")
    names = list(call.get("names") or ())
    if call.get("name"):
        if names:
            raise InvalidParameter(
                "'name' and 'names' were specified in the seccomp profile, use either 'name' or "
                "'names'"
            )
        names = [call["name"]]
    excludes, includes = call.get("excludes") or {}, call.get("includes") or {}
    if go_arch in (excludes.get("arches") or ()):
        return None
    if capabilities & set(excludes.get("caps") or ()):
        return None
    if excludes.get("minKernel") and _kernel() >= _version(excludes["minKernel"], where):
        return None
    if includes.get("arches") and go_arch not in includes["arches"]:
        return None
    if not set(includes.get("caps") or ()) <= capabilities:
        return None
    if includes.get("minKernel") and _kernel() < _version(includes["minKernel"], where):
        return None
    rule: dict[str, Any] = {
        "names": names,
        "action": _action(call.get("action"), f"{where}.action"),
    }
    if call.get("errnoRet") is not None:
        rule["errnoRet"] = call["errnoRet"]
    if call.get("args"):
        rule["args"] = [_argument(argument, where) for argument in call["args"]]
    return rule


def _argument(argument: Any, where: str) -> dict[str, Any]:
    if not isinstance(argument, dict) or argument.get("op") not in _OPERATORS:
        raise InvalidParameter(f"Decoding seccomp profile failed: {where}.args has no known op")
    return {
        "index": argument.get("index", 0),
        "value": argument.get("value", 0),
        "valueTwo": argument.get("valueTwo", 0),
        "op": argument["op"],
    }


def _action(value: Any, where: str) -> str:
    if value not in _ACTIONS and value != "SCMP_ACT_NOTIFY":
        raise InvalidParameter(f"Decoding seccomp profile failed: {where}: unknown action {value}")
    return str(value)


def _version(text: str, where: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)\.(\d+)", text)
    if match is None:
        raise InvalidParameter(f"Decoding seccomp profile failed: {where}: bad minKernel {text}")
    return int(match[1]), int(match[2])


class _Comparison(ctypes.Structure):
    _fields_ = [
        ("arg", ctypes.c_uint),
        ("op", ctypes.c_int),
        ("a", ctypes.c_uint64),
        ("b", ctypes.c_uint64),
    ]


@lru_cache(maxsize=1)
def _library() -> Any:
    """libseccomp, which crun needs as well; None without it."""
    try:
        library = ctypes.CDLL("libseccomp.so.2")
    except OSError:
        return None
    library.seccomp_init.restype = ctypes.c_void_p
    library.seccomp_init.argtypes = [ctypes.c_uint32]
    library.seccomp_release.argtypes = [ctypes.c_void_p]
    library.seccomp_release.restype = None
    library.seccomp_arch_resolve_name.restype = ctypes.c_uint32
    library.seccomp_arch_resolve_name.argtypes = [ctypes.c_char_p]
    library.seccomp_arch_add.argtypes = [ctypes.c_void_p, ctypes.c_uint32]
    library.seccomp_attr_set.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_uint32]
    library.seccomp_syscall_resolve_name.argtypes = [ctypes.c_char_p]
    library.seccomp_rule_add_array.argtypes = [
        ctypes.c_void_p,
        ctypes.c_uint32,
        ctypes.c_int,
        ctypes.c_uint,
        ctypes.c_void_p,
    ]
    library.seccomp_export_bpf.argtypes = [ctypes.c_void_p, ctypes.c_int]
    return library


_UNKNOWN_CALL: Final = -1  # __NR_SCMP_ERROR
_OPTIMIZE: Final = 8  # SCMP_FLTATR_CTL_OPTIMIZE
_BINARY_TREE: Final = 2


def compile_profile(profile: Profile) -> bytes | None:
    """An expanded profile as classic BPF (struct sock_filter[]); None when that can't be done.

    A binary tree over the numbers: the kernel runs the filter for every number once when it is
    loaded, which takes a chain of comparisons far longer.
    """
    library = _library()
    if library is None or "SCMP_ACT_NOTIFY" in json.dumps(profile):
        return None
    default = _number(profile["defaultAction"], profile.get("defaultErrnoRet"))
    context = library.seccomp_init(default)
    if not context:
        return None
    try:
        library.seccomp_attr_set(context, _OPTIMIZE, _BINARY_TREE)
        for name in profile.get("architectures", ()):
            token = library.seccomp_arch_resolve_name(
                name.removeprefix("SCMP_ARCH_").lower().encode()
            )
            if token == 0:
                return None
            library.seccomp_arch_add(context, token)  # EEXIST for the native one
        for rule in profile["syscalls"]:
            if not _add_rule(library, context, rule, default):
                return None
        fd = os.memfd_create("seccomp", os.MFD_CLOEXEC)
        try:
            if library.seccomp_export_bpf(context, fd) < 0:
                return None
            return os.pread(fd, os.fstat(fd).st_size, 0)
        finally:
            os.close(fd)
    finally:
        library.seccomp_release(context)


def _number(action: str, errno_ret: int | None) -> int:
    code = _ACTIONS[action]
    if action in _WITH_ERRNO:
        code |= (_EPERM if errno_ret is None else errno_ret) & 0xFFFF
    return code


def _add_rule(library: Any, context: int, rule: dict[str, Any], default: int) -> bool:
    action = _number(rule["action"], rule.get("errnoRet"))
    if action == default:
        return True  # libseccomp refuses what says nothing
    arguments = rule.get("args") or []
    comparisons = [
        _Comparison(
            argument["index"],
            _OPERATORS[argument["op"]],
            argument["value"],
            argument.get("valueTwo", 0),
        )
        for argument in arguments
    ]
    indexes = [argument["index"] for argument in arguments]
    # as runc and crun: several comparisons of one argument are alternatives, else all must hold
    groups = (
        [[comparison] for comparison in comparisons]
        if len(set(indexes)) < len(indexes)
        else [comparisons]
    )
    for name in rule["names"]:
        call = library.seccomp_syscall_resolve_name(name.encode())
        if call == _UNKNOWN_CALL:
            continue
        for group in groups:
            array = (_Comparison * len(group))(*group)
            if library.seccomp_rule_add_array(context, action, call, len(group), array) < 0:
                return False
    return True


class SeccompCache:
    """Compiled profiles, in memory and below ``directory``."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._known: dict[tuple[frozenset[str], str], Seccomp] = {}

    def get(self, capabilities: Collection[str], custom: Profile | None = None) -> Seccomp:
        """Expand and compile (first time 10-15 ms, then µs). Never fails for want of BPF.

        Raises ``InvalidParameter`` for a bad ``custom`` profile.
        """
        key = (frozenset(capabilities), json.dumps(custom, sort_keys=True) if custom else "")
        found = self._known.get(key)
        if found is None:
            profile = (
                default_profile(capabilities) if custom is None else expand(custom, capabilities)
            )
            found = Seccomp(profile, self._compiled(profile))
            if len(self._known) > 256:
                self._known.clear()
            self._known[key] = found
        return found

    def _compiled(self, profile: Profile) -> str | None:
        # the kernel's and the library's age decide which names are known
        material = json.dumps([profile, os.uname().machine, _library_version()], sort_keys=True)
        path = self._directory / (hashlib.sha256(material.encode()).hexdigest() + ".bpf")
        try:
            bpf = path.read_bytes()
        except OSError:
            compiled = compile_profile(profile)
            if compiled is None:
                log.warning("the seccomp profile can't be compiled ahead: starts take longer")
                return None
            bpf = compiled
            self._keep(path, bpf)
        return base64.b64encode(bpf).decode()

    def _keep(self, path: Path, bpf: bytes) -> None:
        temporary = path.with_suffix(f".{os.getpid()}")
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            temporary.write_bytes(bpf)
            temporary.rename(path)
        except OSError as error:
            log.warning("the compiled seccomp profile is not kept: %s", error)


def _library_version() -> str:
    library = _library()
    if library is None:
        return ""
    library.seccomp_version.restype = ctypes.POINTER(ctypes.c_uint * 3)
    return ".".join(map(str, library.seccomp_version().contents))
