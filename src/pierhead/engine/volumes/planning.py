"""From a container's configuration to the list of its mounts. Pure.

Docker's order: mounts of other containers (``--volumes-from``), then ``-v``, then
``--mount``, then the volumes that the image or ``-v /path`` ask for where nothing is yet.
Among ``-v`` and ``--mount`` a destination may be named once; they override
``--volumes-from``. Volumes are only named here; making them is the service's business.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from pierhead.engine.config import ContainerConfig, HostConfig, Mount, MountPoint
from pierhead.engine.containers.model import MountRecord
from pierhead.engine.volumes.specs import (
    check_mount,
    clean,
    parse_bind,
    parse_volumes_from,
)
from pierhead.errors import InvalidParameter, NotFound

VolumesFrom = Callable[[str], list[MountRecord]]
DEFAULT_PROPAGATION = "rprivate"


def plan_mounts(
    config: ContainerConfig,
    host_config: HostConfig,
    image_volumes: Iterable[str],
    volumes_from: VolumesFrom,
) -> list[MountRecord]:
    """All mounts, sorted by destination. Anonymous volumes have no name yet.

    ``-v`` entries of the API's ``HostConfig.Binds`` that are only a destination are
    anonymous volumes too. Raises ``InvalidParameter``.
    """
    planned: dict[str, MountRecord] = {}
    for text in host_config.volumes_from or ():
        for record in _from_container(text, volumes_from):
            planned[record.point.destination] = record
    asked: set[str] = set()
    for bind in (parse_bind(text, host_config.volume_driver) for text in host_config.binds or ()):
        _once(asked, bind.mount.target)
        planned[bind.mount.target] = _record(bind.mount, bind.mode, host_config.volume_driver)
    for mount in host_config.mounts or ():
        check_mount(mount)
        target = clean(mount.target)
        _once(asked, target)
        planned[target] = _record(mount, "", "")
    for target in host_config.tmpfs or ():
        _once(asked, clean(target))
        planned.pop(clean(target), None)
    covered = {*planned, *(clean(target) for target in host_config.tmpfs or ())}
    for target in sorted({*(config.volumes or ()), *image_volumes}):
        mount = Mount(type="volume", target=target)
        check_mount(mount)
        if clean(target) not in covered:
            covered.add(clean(target))
            planned[clean(target)] = _record(mount, "", host_config.volume_driver)
    return [planned[target] for target in sorted(planned)]


def _once(asked: set[str], target: str) -> None:
    if target in asked:
        raise InvalidParameter(f"Duplicate mount point: {target}")
    asked.add(target)


def _from_container(text: str, volumes_from: VolumesFrom) -> list[MountRecord]:
    ref, mode = parse_volumes_from(text)
    read_only = "ro" in mode.split(",")
    records = []
    try:
        given = volumes_from(ref)
    except NotFound as error:
        # A 404 from create makes the stock client pull the image; moby answers 400 too.
        raise InvalidParameter(error.message) from error
    for theirs in given:
        if theirs.point.type == "tmpfs":
            continue
        record = msgspec.structs.replace(
            theirs,
            point=msgspec.structs.replace(theirs.point),
            anonymous=False,  # theirs to remove
            copy_up=False,
        )
        if read_only:
            record.point.rw = False
            record.point.mode = mode
        records.append(record)
    return records


def _record(mount: Mount, mode: str, volume_driver: str) -> MountRecord:
    point = MountPoint(
        type=mount.type,
        source=clean(mount.source) if mount.type == "bind" else "",
        destination=clean(mount.target),
        mode=mode,
        rw=not mount.read_only,
    )
    if mount.type == "bind":
        asked = mount.bind_options.propagation if mount.bind_options else ""
        point.propagation = asked or DEFAULT_PROPAGATION
        return MountRecord(point=point, spec=mount)
    if mount.type == "tmpfs":
        return MountRecord(point=point, spec=mount, options=tmpfs_options(mount))
    options = mount.volume_options
    driver = options.driver_config.name if options and options.driver_config else volume_driver
    point.name = mount.source
    point.driver = driver or "local"
    if mount.source:
        point.mode = mode or "z"
    return MountRecord(
        point=point,
        spec=mount,
        anonymous=not mount.source,
        copy_up=not (options and (options.no_copy or options.subpath)),
    )


def tmpfs_options(mount: Mount) -> list[str]:
    """Mount options of a ``--mount type=tmpfs``, Docker's defaults first."""
    chosen = {"exec": "noexec", "suid": "nosuid", "dev": "nodev"}
    further: list[str] = []
    given = mount.tmpfs_options
    for option in (given.options if given else None) or ():
        word = option[0]
        bare = word.removeprefix("no")
        if bare in chosen:
            chosen[bare] = word
        else:
            further.append(word)
    if mount.read_only and "ro" not in further:
        further.append("ro")
    if given and given.size_bytes:
        further.append(f"size={given.size_bytes}")
    if given and given.mode:
        further.append(f"mode={given.mode:o}")
    return [*chosen.values(), *further]
