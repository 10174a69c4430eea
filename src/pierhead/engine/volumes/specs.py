"""What a user writes about mounts, parsed: ``-v`` texts and ``--mount`` objects. Pure.

Error texts are Docker's; the prefix says where the fault is, ``invalid volume
specification: '<text>'`` or ``invalid mount config for type "<type>"``.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from typing import Final

from pierhead.engine.config import BindOptions, DriverConfig, Mount, VolumeOptions
from pierhead.errors import InvalidParameter, NotImplementedYet

PROPAGATIONS: Final = ("private", "rprivate", "shared", "rshared", "slave", "rslave")
_CONSISTENCIES: Final = ("consistent", "cached", "delegated", "default")
_NAME: Final = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")
_TMPFS_OPTIONS: Final = ("exec", "noexec", "nosuid", "suid", "nodev", "dev", "ro", "rw")


@dataclass(frozen=True, slots=True)
class Bind:
    """A parsed ``-v``: the mount it stands for and the mode as it was written."""

    mount: Mount
    mode: str


def check_volume_name(name: str) -> None:
    """Raises ``InvalidParameter`` in Docker's words."""
    if len(name) == 1:
        raise InvalidParameter(
            "volume name is too short, names should be at least two alphanumeric characters"
        )
    if not _NAME.fullmatch(name) or len(name) > 255:
        raise InvalidParameter(
            f'"{name}" includes invalid characters for a local volume name, only '
            '"[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, '
            "use absolute path"
        )


def clean(path: str) -> str:
    """A path without ``.``, ``..``, double and final slashes, as Go's path.Clean."""
    cleaned = posixpath.normpath(path)
    return "/" + cleaned.lstrip("/") if cleaned.startswith("//") else cleaned


def parse_bind(text: str, volume_driver: str = "") -> Bind:
    """``[source:]target[:mode]``; a source that is no absolute path names a volume.

    Raises ``InvalidParameter``.
    """
    parts = text.split(":")
    if not parts[0] or len(parts) > 3 or (len(parts) == 2 and parts[1] and _mode_ok(parts[1])):
        raise InvalidParameter(f"invalid volume specification: '{text}'")
    source, target, mode = ("", parts[0], "")
    if len(parts) > 1:
        source, target = parts[0], parts[1]
        mode = parts[2] if len(parts) == 3 else ""
    if not _mode_ok(mode):
        raise InvalidParameter(f"invalid mode: {mode}")
    words = mode.split(",") if mode else []
    mount = Mount(
        type="bind" if source.startswith("/") else "volume",
        source=source,
        target=target,
        read_only="ro" in words,
    )
    propagation = next((word for word in words if word in PROPAGATIONS), "")
    if mount.type == "bind":
        mount.bind_options = BindOptions(propagation=propagation, create_mountpoint=True)
        mount.source = clean(source)
    else:
        if propagation:
            raise InvalidParameter(
                f"invalid volume specification: '{text}': propagation is for host directories"
            )
        mount.volume_options = VolumeOptions(no_copy="nocopy" in words)
        if volume_driver:
            mount.volume_options.driver_config = DriverConfig(name=volume_driver)
    try:
        check_mount(mount)
    except InvalidParameter as error:
        raise InvalidParameter(
            f"invalid volume specification: '{text}': {error.message}"
        ) from error
    mount.target = clean(target)
    return Bind(mount, mode)


def _mode_ok(mode: str) -> bool:
    """A comma-separated list with at most one word of each kind, none unknown."""
    if not mode:
        return True
    kinds = (("ro", "rw"), ("z", "Z"), PROPAGATIONS, ("nocopy",), _CONSISTENCIES)
    seen: set[tuple[str, ...]] = set()
    for word in mode.split(","):
        kind = next((kind for kind in kinds if word in kind), None)
        if kind is None or kind in seen:
            return False
        seen.add(kind)
    return True


def check_mount(mount: Mount) -> None:
    """One ``--mount``; whether a bind's source exists is asked elsewhere (IO).

    Raises ``InvalidParameter``, ``NotImplementedYet``.
    """
    checks = {"bind": _check_bind, "volume": _check_volume, "tmpfs": _check_tmpfs}
    if mount.type == "image":
        raise NotImplementedYet(
            "mounts of type image are not built yet: copy the files out with create and cp"
        )
    if mount.type not in checks:
        raise InvalidParameter(f'invalid mount config for type "{mount.type}": mount type unknown')
    problem = _target_problem(mount.target) or checks[mount.type](mount)
    if problem:
        raise mount_error(mount.type, problem)


def mount_error(kind: str, problem: str) -> InvalidParameter:
    """``invalid mount config for type "bind": <problem>``."""
    return InvalidParameter(f'invalid mount config for type "{kind}": {problem}')


def _target_problem(target: str) -> str:
    if not target:
        return "field Target must not be empty"
    if clean(target) == "/":
        return "invalid specification: destination can't be '/'"
    if not target.startswith("/"):
        return f"invalid mount path: '{target}' mount path must be absolute"
    if "\0" in target:
        return "field Target must not contain a NUL"
    return ""


def _check_bind(mount: Mount) -> str:
    if not mount.source:
        return "field Source must not be empty"
    if mount.volume_options is not None:
        return "field VolumeOptions must not be specified"
    if mount.tmpfs_options is not None:
        return "field TmpfsOptions must not be specified"
    if not mount.source.startswith("/"):
        return f"invalid mount path: '{mount.source}' mount path must be absolute"
    options = mount.bind_options
    if options is None:
        return ""
    if options.propagation and options.propagation not in PROPAGATIONS:
        return f"invalid propagation mode: {options.propagation}"
    if options.read_only_force_recursive and options.read_only_non_recursive:
        return "ReadOnlyForceRecursive and ReadOnlyNonRecursive exclude each other"
    if options.read_only_force_recursive and not mount.read_only:
        return "mount must be read-only for ReadOnlyForceRecursive"
    return ""


def _check_volume(mount: Mount) -> str:
    if mount.bind_options is not None:
        return "field BindOptions must not be specified"
    if mount.tmpfs_options is not None:
        return "field TmpfsOptions must not be specified"
    if not mount.source and mount.read_only:
        return "must not set ReadOnly mode when using anonymous volumes"
    if mount.source:
        try:
            check_volume_name(mount.source)
        except InvalidParameter as error:
            return error.message
    subpath = mount.volume_options.subpath if mount.volume_options else ""
    if subpath:
        if not mount.source:
            return "must not set Subpath when using anonymous volumes"
        if subpath.startswith("/") or ".." in subpath.split("/"):
            return "subpath must be a relative path within the volume"
    return ""


def _check_tmpfs(mount: Mount) -> str:
    if mount.bind_options is not None:
        return "field BindOptions must not be specified"
    if mount.volume_options is not None:
        return "field VolumeOptions must not be specified"
    if mount.source:
        return "field Source must not be specified"
    for option in (mount.tmpfs_options.options if mount.tmpfs_options else None) or ():
        if not 1 <= len(option) <= 2:
            return "invalid option array length"
        if option[0] not in _TMPFS_OPTIONS or len(option) == 2:
            return f"invalid option: {'='.join(option)}"
    return ""


def parse_volumes_from(text: str) -> tuple[str, str]:
    """``container[:mode]`` → container, mode ("rw" when not given).

    Raises ``InvalidParameter``.
    """
    container, colon, mode = text.partition(":")
    if not container:
        raise InvalidParameter("invalid volumes-from specification: " + text)
    mode = mode if colon else "rw"
    if not _mode_ok(mode) or any(
        word in PROPAGATIONS or word == "nocopy" for word in mode.split(",")
    ):
        raise InvalidParameter(f"invalid mode: {mode}")
    return container, mode
