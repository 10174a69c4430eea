"""A step's place: its snapshot mounted with all that is mounted there, and its bundle.

::

    <exec-root>/build/steps/<id>/
      config.json        runtime spec (on ``private`` if it holds a secret)
      rootfs             the snapshot
      hosts resolv.conf  bound into it
      private/           tmpfs with secrets and agents' sockets, if there are any
      runtime/           crun's state
      cgroup             the path of its control group, for who cleans up after a kill

``enter`` makes it, ``leave`` takes it down; between the two a process runs in it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from pierhead.build.execute import emulation, running, spec
from pierhead.build.execute.attachments import Attachments, Holder
from pierhead.build.execute.kept import KEY_PREFIX
from pierhead.build.execute.model import RunStep
from pierhead.build.execute.mountpoints import MountPoints
from pierhead.build.execute.mounts import CacheMounts
from pierhead.build.execute.network import Lent, NetworkPool
from pierhead.build.model import NetworkMode
from pierhead.engine.containers.destinations import resolve_destination
from pierhead.engine.containers.users import lookup_user, read_account_files
from pierhead.engine.networks import sandbox_files
from pierhead.engine.networks.names import container_resolv_conf, parse_extra_hosts
from pierhead.engine.networks.service import NetworkService
from pierhead.engine.settings import Settings
from pierhead.errors import InvalidParameter
from pierhead.linux import cgroups, devices, limits
from pierhead.linux.seccomp import SeccompCache
from pierhead.oci import capabilities
from pierhead.oci.runtime_spec import User, build_spec
from pierhead.runtime.crun import Runtime
from pierhead.store.snapshots import Snapshotter

if TYPE_CHECKING:
    from pierhead.build.files.service import FileService

_KERNEL_DIRECTORIES: Final = ("/proc", "/sys", "/dev")
"""What the runtime mounts there must not be left in the layer."""
_encode: Final = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What all steps of one executor stand on."""

    snapshots: Snapshotter
    files: FileService
    networks: NetworkService
    runtime: Runtime
    settings: Settings
    layout: cgroups.Layout
    pool: NetworkPool
    caches: CacheMounts
    seccomp: SeccompCache
    steps: Path
    """Below the exec root."""
    scratch: Path
    """Below the data root."""
    swap_accounting: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What runs, where it isn't the step's own command."""

    args: Sequence[str]
    terminal: bool = False
    size: tuple[int, int] = (0, 0)
    """(height, width)."""


class Setup:
    """Of one process of one step. Use once."""

    def __init__(self, parts: Parts, setup_id: str, key: str, step: RunStep) -> None:
        """``key``: of the snapshot."""
        if step.classic and not step.hostname:
            # a container's: the beginning of an id
            step = replace(step, hostname=setup_id.removeprefix(KEY_PREFIX)[:12])
        self._parts = parts
        self._key = key
        self._step = step
        self._lent: Lent | None = None
        self._mounted = False
        self.id = setup_id
        self.directory = parts.steps / setup_id
        self.rootfs = self.directory / "rootfs"
        self.cgroup = cgroups.container_path(
            setup_id, step.limits.cgroup_parent or parts.settings.cgroup_parent
        )
        self._scratch = parts.scratch / setup_id
        self._points = MountPoints(self.rootfs)
        self._attachments = Attachments(self.directory, self._scratch, parts.files, parts.caches)

    async def enter(self, client: Holder, program: Program | None = None) -> Path:
        """Make it all; returns the bundle. ``leave`` it, also when this fails."""
        step = self._step
        self.directory.mkdir(mode=0o711)
        self.rootfs.mkdir(mode=0o755)
        self._lent = await self._parts.pool.take(step.network, step.network_name)
        self._parts.snapshots.mount(self._key, self.rootfs, init=step.classic, volatile=True)
        self._mounted = True
        for path in _KERNEL_DIRECTORIES:
            self._points.make(path, directory=True)
        await self._attachments.attach(step.mounts, step.files, client, self._points)
        return self._write_bundle(self._lent, program)

    async def leave(self, *, ended: bool) -> None:
        """Unmount and give back. ``ended``: the process came to its own end."""
        try:
            if self._mounted:
                self._parts.snapshots.unmount(self.rootfs)
        finally:
            await self._attachments.release()
            if self._lent is not None:
                clean = ended and not self._step.insecure
                await self._parts.pool.give_back(self._lent, clean=clean)

    def undo_mount_points(self, upper: Path) -> None:
        """After ``leave``: no trace of what was mounted may be in the snapshot."""
        self._points.undo(upper)

    async def delete(self) -> None:
        """After ``leave``: its files and control group; takes a moment, in nobody's way."""
        running.reap_helpers(self._parts.runtime)
        await running.end(self._parts.layout, self.cgroup)
        await running.delete_tree(self.directory)
        await running.delete_tree(self._scratch)

    def _write_bundle(self, lent: Lent, program: Program | None) -> Path:
        step, settings = self._step, self._parts.settings
        bundle = self.directory
        private = self._attachments.private
        if private is not None and self._attachments.env:
            bundle = private / "bundle"
            bundle.mkdir(mode=0o700)
        passwd, group = read_account_files(self.rootfs)
        found = lookup_user(step.user, passwd, group)
        self._make_working_directory(found.uid, found.gid)
        mounted = [*self._managed_files(lent), *self._attachments.oci_mounts]
        if (interpreter := emulation.interpreter(step.platform)) is not None:
            target = self._points.make(interpreter, directory=False)
            mounted.append(spec.bind(interpreter, target, "ro"))
        place = spec.Place(
            cgroups_path=self.cgroup,
            network=lent.path,
            mounts=mounted,
            env=self._attachments.env,
            shm_size=settings.default_shm_size,
            rlimits=self._rlimits(),
            swap_accounting=self._parts.swap_accounting,
            own_cgroups=self._parts.layout.version == "v2",
        )
        inputs = spec.inputs(
            step,
            User(uid=found.uid, gid=found.gid, additional_gids=found.supplementary),
            self._rights(),
            place,
            args=None if program is None else program.args,
            terminal=program is not None and program.terminal,
            console_size=None if program is None else program.size,
        )
        made = build_spec(inputs)
        made["root"]["path"] = os.fspath(self.rootfs)
        (self.directory / "cgroup").write_text(self.cgroup)
        fd = os.open(bundle / "config.json", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(fd, "wb") as file:
            file.write(_encode(made))
        return bundle

    def _make_working_directory(self, uid: int, gid: int) -> None:
        """As BuildKit: made if it isn't there, the user's."""
        resolved = resolve_destination(self.rootfs, self._step.working_dir or "/")
        if resolved == "/" or os.path.lexists(f"{self.rootfs}{resolved}"):
            return
        parts = resolved.strip("/").split("/")
        for number in range(1, len(parts) + 1):
            here = f"{self.rootfs}/" + "/".join(parts[:number])
            if not os.path.lexists(here):
                try:
                    os.mkdir(here, 0o755)
                except OSError as error:
                    raise InvalidParameter(
                        f"can't make the working directory {resolved}: {error.strerror}"
                    ) from error
                os.chown(here, uid, gid)

    def _managed_files(self, lent: Lent) -> list[dict[str, Any]]:
        """What must be right in a step whatever the image has; no layer gets it."""
        step, settings = self._step, self._parts.settings
        files = {
            "/etc/resolv.conf": self.directory / "resolv.conf",
            "/etc/hosts": self.directory / "hosts",
        }
        extra = parse_extra_hosts(
            [f"{name}={address}" for name, address in step.add_hosts], self._gateway()
        )
        sandbox_files.write(files["/etc/hosts"], spec.hosts_text(step.hostname, extra))
        if lent.once and lent.sandbox is not None:
            files["/etc/resolv.conf"] = lent.sandbox.resolv_conf_path
        else:
            text = container_resolv_conf(
                sandbox_files.host_resolv_conf(),
                nameservers=settings.dns,
                search=settings.dns_search,
                options=settings.dns_options,
                keep_loopback=step.network is NetworkMode.HOST,
            )
            sandbox_files.write(files["/etc/resolv.conf"], text)
        options: tuple[str, ...] = ("ro", "nosuid", "nodev", "noexec")
        if step.classic:
            options = ()
            files["/etc/hostname"] = self.directory / "hostname"
            sandbox_files.write(files["/etc/hostname"], f"{step.hostname or spec.HOSTNAME}\n")
        return [
            spec.bind(os.fspath(file), self._points.make(path, directory=False), *options)
            for path, file in files.items()
        ]

    def _gateway(self) -> str:
        """What ``host-gateway`` means in ``--add-host``."""
        given = self._parts.settings.host_gateway_ips
        return given[0] if given else str(self._parts.networks.get("bridge").gateway.ip)

    def _rlimits(self) -> list[tuple[str, int, int]]:
        defaults = {
            name: (ulimit.soft, ulimit.hard)
            for name, ulimit in self._parts.settings.default_ulimits.items()
        }
        allowed, _ = limits.allowed_rlimits(spec.rlimits(self._step.limits.ulimits, defaults))
        return allowed

    def _rights(self) -> spec.Rights:
        insecure, settings = self._step.insecure, self._parts.settings
        held = capabilities.effective(privileged=insecure, available=limits.capabilities())
        if insecure:
            return spec.Rights(capabilities=held, devices=list(devices.host_devices()))
        if settings.seccomp_profile == "unconfined":
            return spec.Rights(capabilities=held, no_new_privileges=settings.no_new_privileges)
        custom = None
        if settings.seccomp_profile not in ("", "builtin"):
            try:
                custom = msgspec.json.decode(Path(settings.seccomp_profile).read_bytes())
            except (OSError, ValueError) as error:
                raise InvalidParameter(f"opening seccomp profile failed: {error}") from error
        found = self._parts.seccomp.get(held, custom)
        return spec.Rights(
            capabilities=held,
            seccomp=found.profile,
            seccomp_bpf=found.bpf,
            no_new_privileges=settings.no_new_privileges,
        )
