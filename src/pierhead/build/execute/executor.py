"""RUN: one command on a writable snapshot of a chain, its changes packed as a layer.

::

    <exec-root>/build/steps/<id>/   one step that runs: config.json, rootfs, hosts, ...
    <exec-root>/build/networks/     files of ready network namespaces that nobody reads
    <data-root>/builds/steps/<id>/  what is written to bind mounts, thrown away
    <data-root>/builds/mounts/      cache mounts: see ``mounts.py``
    <data-root>/builds/failed/      kept failed steps: see ``kept.py``

``Executor.run`` is the whole of it: ``prepare`` → ``mount`` → spec → crun (no conmon) →
pack the upper directory → ``stage`` and ``commit``. Nothing of a step outlives it but its
layer, its cache mounts, and, where a failed step is kept for ``debug_shell``, that step's
snapshot.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from pierhead import tasks
from pierhead.build.execute import emulation, layers, running, spec
from pierhead.build.execute.attachments import Attachments
from pierhead.build.execute.model import RunOutcome, RunStep, StepFailed
from pierhead.build.execute.mountpoints import MountPoints
from pierhead.build.execute.mounts import CacheMounts
from pierhead.build.execute.network import Lent, NetworkPool
from pierhead.build.execute.output import Bounded, Pipes
from pierhead.build.model import Client, Duplex, NetworkMode
from pierhead.engine.containers.failures import explain
from pierhead.engine.containers.users import lookup_user, read_account_files
from pierhead.engine.networks import sandbox_files
from pierhead.engine.networks.names import container_resolv_conf, parse_extra_hosts
from pierhead.engine.networks.service import NetworkService
from pierhead.engine.settings import Settings
from pierhead.errors import InvalidParameter, NotImplementedYet, PierError, Unavailable
from pierhead.linux import cgroups, devices, limits, mounts
from pierhead.linux.seccomp import SeccompCache
from pierhead.oci import capabilities
from pierhead.oci.digest import ChainId
from pierhead.oci.runtime_spec import User, build_spec
from pierhead.runtime.crun import Runtime, RuntimeFailed
from pierhead.store.database import Database
from pierhead.store.paths import Paths
from pierhead.store.snapshots import Snapshotter

if TYPE_CHECKING:
    from pierhead.build.files.service import FileService

log = logging.getLogger(__name__)

_encode: Final = msgspec.json.Encoder().encode
KEY_PREFIX: Final = "build-"
"""Of the keys of steps' snapshots."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A failed step that can be looked at. Times are nanoseconds since 1970."""

    id: str
    build_ref: str
    name: str
    exit_code: int
    failed_ns: int
    expires_ns: int


class Shell(Duplex):
    """A process in a kept step. ``read`` gives its output; ``exit_code`` is known at its end.

    Without a tty both outputs come mixed, as they are written.
    """

    exit_code: int | None

    async def resize(self, height: int, width: int) -> None:
        """The client's terminal has this size now; nothing happens without a tty."""
        raise NotImplementedError

    async def close_stdin(self) -> None:
        """No more input comes."""
        raise NotImplementedError

    async def wait(self) -> int:
        """The exit code, 128 + number for a signal."""
        raise NotImplementedError


@dataclass(slots=True, kw_only=True)
class _Ended:
    """How a step's process ended."""

    status: int
    out_of_memory: bool
    max_memory_bytes: int
    cpu_ns: int


class Executor:
    """Runs steps. Any number at a time: who schedules them limits that."""

    def __init__(
        self,
        *,
        paths: Paths,
        db: Database,
        snapshots: Snapshotter,
        files: FileService,
        networks: NetworkService,
        runtime: Runtime,
        settings: Settings,
        layout: cgroups.Layout,
    ) -> None:
        self._paths = paths
        self._snapshots = snapshots
        self._files = files
        self._networks = networks
        self._runtime = runtime
        self._settings = settings
        self._layout = layout
        self._steps = paths.exec_root / "build" / "steps"
        self._scratch = paths.data_root / "builds" / "steps"
        for directory in (self._steps, self._scratch):
            directory.mkdir(mode=0o711, parents=True, exist_ok=True)
        self._pool = NetworkPool(networks, paths.exec_root / "build" / "networks")
        self._seccomp = SeccompCache(paths.data_root / "seccomp")
        memory = layout.paths.get("memory")
        self._swap_accounting = layout.version == "v2" or (
            memory is not None and (memory / "memory.memsw.limit_in_bytes").exists()
        )
        self.mounts = CacheMounts(paths, db)
        """What ``RUN --mount=type=cache`` keeps: list, prune, export, import."""

    async def run(
        self,
        base: ChainId | None,
        step: RunStep,
        client: Client,
        log: Callable[[int, bytes], None],
    ) -> RunOutcome:
        """Run ``step`` on ``base``; ``log`` is called with 1 or 2 and what was written there.

        Raises ``StepFailed`` when the command ends with another status than 0;
        ``InvalidParameter`` for what can't be (an unknown user, a mount's source that isn't
        there, a required secret); ``Unavailable`` for a full disk. Cancelled, it kills the
        step and leaves nothing behind. The caller holds ``base`` and takes the result's chain
        into its own lease before anything collects.
        """
        self._runtime.warm_up()
        spec.check_devices(step.devices)
        step_id = KEY_PREFIX + secrets.token_hex(16)
        run = _Run(self, step_id, base, step)
        return await run.go(client, log)

    async def recover(self) -> None:
        """At start: remove what steps that a kill ended left. Kept failed steps stay."""
        for directory in self._steps.iterdir():
            log.info("cleaning up after a build step", extra={"step": directory.name})
            await asyncio.to_thread(self._clean, directory)
        shutil.rmtree(self._scratch, ignore_errors=True)
        self._scratch.mkdir(mode=0o711, parents=True, exist_ok=True)
        shutil.rmtree(self._paths.exec_root / "build" / "networks", ignore_errors=True)
        await self.mounts.recover()

    def _clean(self, directory: Path) -> None:
        try:
            cgroup = (directory / "cgroup").read_text()
            cgroups.remove(self._layout, cgroup)
        except OSError:
            pass
        mounts.unmount_below(directory)
        shutil.rmtree(directory, ignore_errors=True)

    async def close(self) -> None:
        """Nothing runs any more: give back ready namespaces."""
        await self._pool.close()
        await self.mounts.close()

    # failed steps

    def live_keys(self) -> set[str]:
        """Snapshots that ``snapshots.recover`` has to leave alone: those of kept steps."""
        return set()

    def kept(self) -> Sequence[Kept]:
        """Failed steps that are kept, newest first."""
        return []

    async def debug_shell(
        self,
        debug_id: str,
        argv: Sequence[str] = (),
        *,
        tty: bool = False,
        size: tuple[int, int] = (0, 0),
    ) -> Shell:
        """Run ``argv`` (default: a shell) in the kept step: its files, mounts, variables, user.

        ``debug_id``: a kept step's id, its unique prefix, or the build's ref. ``size`` is
        (height, width). ``NotFound`` if nothing is kept under that name.
        """
        raise NotImplementedYet("debugging failed steps comes later")

    async def forget(self, debug_id: str) -> None:
        """Remove a kept step. ``NotFound``."""
        raise NotImplementedYet("debugging failed steps comes later")


class _Run:
    """One step on its way. Everything it makes it takes away, whatever happens."""

    def __init__(
        self, executor: Executor, step_id: str, base: ChainId | None, step: RunStep
    ) -> None:
        self._executor = executor
        self._snapshots = executor._snapshots
        self._settings = executor._settings
        self._id = step_id
        self._base = base
        self._step = step
        self._directory = executor._steps / step_id
        self._rootfs = self._directory / "rootfs"
        self._scratch = executor._scratch / step_id
        self._cgroup = cgroups.container_path(
            step_id,
            step.limits.cgroup_parent or step.cgroup_parent or self._settings.cgroup_parent,
        )
        self._points = MountPoints(self._rootfs)
        self._attachments = Attachments(
            self._directory, self._scratch, executor._files, executor.mounts
        )

    async def go(self, client: Client, log: Callable[[int, bytes], None]) -> RunOutcome:
        started_ns = time.time_ns()
        self._directory.mkdir(mode=0o711)
        try:
            await self._snapshots.prepare(self._id, self._base)
            ended = await self._process(client, log)
            upper = layers.upper_of(self._snapshots, self._id)
            self._points.undo(upper)
            if ended.status:
                raise self._failed(ended)
            changed = not layers.is_empty(upper)
            layer = await layers.commit(
                self._snapshots, self._base, upper, epoch_s=self._step.epoch_s
            )
            return RunOutcome(
                chain_id=layer.chain_id,
                changed=changed,
                size_bytes=layer.size_bytes,
                started_ns=started_ns,
                finished_ns=time.time_ns(),
                max_memory_bytes=ended.max_memory_bytes,
                cpu_ns=ended.cpu_ns,
            )
        finally:
            await asyncio.shield(self._snapshots.remove(self._id))
            tasks.spawn(self._delete(), name=f"clean up {self._id[:12]}")

    async def _process(self, client: Client, log: Callable[[int, bytes], None]) -> _Ended:
        """Mount, run, unmount; only the snapshot is left."""
        lent: Lent | None = None
        clean = False
        self._rootfs.mkdir(mode=0o755)
        try:
            lent = await self._executor._pool.take(self._step.network, self._step.network_name)
            self._snapshots.mount(self._id, self._rootfs)
            await self._attachments.attach(
                self._step.mounts, self._step.files, client, self._points
            )
            bundle = self._write_spec(lent)
            ended = await self._execute(bundle, log)
            clean = not self._step.insecure
            return ended
        finally:
            await asyncio.shield(self._take_down(lent, clean))

    async def _take_down(self, lent: Lent | None, clean: bool) -> None:
        self._snapshots.unmount(self._rootfs)
        await self._attachments.release()
        if lent is not None:
            await self._executor._pool.give_back(lent, clean=clean)

    # Before

    def _write_spec(self, lent: Lent) -> Path:
        """The bundle: where config.json is."""
        step = self._step
        private = self._attachments.private
        bundle = self._directory
        if private is not None and self._attachments.env:
            bundle = private / "bundle"
            bundle.mkdir(mode=0o700)
        passwd, group = read_account_files(self._rootfs)
        found = lookup_user(step.user, passwd, group)
        user = User(uid=found.uid, gid=found.gid, additional_gids=found.supplementary)
        self._working_directory(found.uid, found.gid)
        mounted = [*self._managed_files(lent), *self._attachments.oci_mounts]
        if (interpreter := emulation.interpreter(step.platform)) is not None:
            target = self._points.make(interpreter, directory=False)
            mounted.append(spec.bind(interpreter, target, "ro"))
        place = spec.Place(
            cgroups_path=self._cgroup,
            network=lent.path,
            mounts=mounted,
            env=self._attachments.env,
            shm_size=self._settings.default_shm_size,
            rlimits=self._rlimits(),
            swap_accounting=self._executor._swap_accounting,
            own_cgroups=self._executor._layout.version == "v2",
        )
        made = build_spec(spec.inputs(step, user, self._rights(), place))
        made["root"]["path"] = os.fspath(self._rootfs)
        (self._directory / "cgroup").write_text(self._cgroup)
        fd = os.open(bundle / "config.json", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(fd, "wb") as file:
            file.write(_encode(made))
        return bundle

    def _working_directory(self, uid: int, gid: int) -> None:
        """As BuildKit: made if it isn't there, the user's."""
        path = self._step.working_dir or "/"
        if path == "/":
            return
        from pierhead.engine.containers.destinations import resolve_destination

        resolved = resolve_destination(self._rootfs, path)
        if os.path.lexists(f"{self._rootfs}{resolved}"):
            return
        parts = resolved.strip("/").split("/")
        for number in range(1, len(parts) + 1):
            here = f"{self._rootfs}/" + "/".join(parts[:number])
            if not os.path.lexists(here):
                os.mkdir(here, 0o755)
                os.chown(here, uid, gid)

    def _managed_files(self, lent: Lent) -> list[dict[str, Any]]:
        step = self._step
        gateways = self._settings.host_gateway_ips
        gateway = (
            gateways[0] if gateways else str(self._executor._networks.get("bridge").gateway.ip)
        )
        extra = parse_extra_hosts(
            [f"{name}={address}" for name, address in step.add_hosts], gateway
        )
        hosts, resolv_conf = self._directory / "hosts", self._directory / "resolv.conf"
        sandbox_files.write(hosts, spec.hosts_text(step.hostname, extra))
        if lent.once and lent.sandbox is not None:
            resolv_conf = lent.sandbox.resolv_conf_path
            return [
                spec.bind(os.fspath(resolv_conf), "/etc/resolv.conf"),
                spec.bind(os.fspath(hosts), "/etc/hosts"),
            ]
        sandbox_files.write(
            resolv_conf,
            container_resolv_conf(
                sandbox_files.host_resolv_conf(),
                nameservers=self._settings.dns,
                search=self._settings.dns_search,
                options=self._settings.dns_options,
                keep_loopback=step.network is NetworkMode.HOST,
            ),
        )
        return [
            spec.bind(os.fspath(resolv_conf), "/etc/resolv.conf"),
            spec.bind(os.fspath(hosts), "/etc/hosts"),
        ]

    def _rlimits(self) -> list[tuple[str, int, int]]:
        defaults = {n: (u.soft, u.hard) for n, u in self._settings.default_ulimits.items()}
        allowed, _ = limits.allowed_rlimits(spec.rlimits(self._step.limits.ulimits, defaults))
        return allowed

    def _rights(self) -> spec.Rights:
        held = capabilities.effective(
            privileged=self._step.insecure, available=limits.capabilities()
        )
        if self._step.insecure:
            return spec.Rights(capabilities=held, devices=list(devices.host_devices()))
        asked = self._settings.seccomp_profile
        if asked == "unconfined":
            return spec.Rights(
                capabilities=held, no_new_privileges=self._settings.no_new_privileges
            )
        custom = None
        if asked and asked != "builtin":
            try:
                custom = msgspec.json.decode(Path(asked).read_bytes())
            except (OSError, ValueError) as error:
                raise InvalidParameter(f"opening seccomp profile failed: {error}") from error
        found = self._executor._seccomp.get(held, custom)
        return spec.Rights(
            capabilities=held,
            seccomp=found.profile,
            seccomp_bpf=found.bpf,
            no_new_privileges=self._settings.no_new_privileges,
        )

    # Meanwhile

    async def _execute(self, bundle: Path, log: Callable[[int, bytes], None]) -> _Ended:
        bounded = Bounded(log)
        pipes = Pipes(bounded.write)
        started: running.Running | None = None
        layout = self._executor._layout
        try:
            try:
                started = await running.start(
                    self._executor._runtime, self._id, bundle, bundle / "runtime",
                    stdout=pipes.stdout_fd, stderr=pipes.stderr_fd,
                )  # fmt: skip
            except RuntimeFailed as error:
                raise self._not_started(error) from error
            pipes.started()
            status = await started.wait()
            pipes.drain()
            bounded.close()
            memory, cpu_ns = running.used(layout, self._cgroup)
            return _Ended(
                status=status,
                out_of_memory=bool(status) and cgroups.oom_killed(layout, self._cgroup),
                max_memory_bytes=memory,
                cpu_ns=cpu_ns,
            )
        except BaseException:
            # whatever was started must have ended before its file system goes
            await asyncio.shield(running.end(layout, self._cgroup))
            raise
        finally:
            if started is not None:
                started.close()
            pipes.close()

    def _not_started(self, error: RuntimeFailed) -> PierError:
        """The command isn't there, say: then the step has failed, with Docker's exit code."""
        args = self._step.args
        cause, code, _ = explain(error.message, args[0] if args else "")
        if code not in (126, 127) or not cause.startswith("exec:"):
            return Unavailable(f"can't run {spec.quoted(args)}: {cause}")
        message = (
            f"process {spec.quoted(args)} did not complete successfully: "
            f"unable to start container process: {cause}"
        )
        return StepFailed(message, code)

    # After

    def _failed(self, ended: _Ended) -> StepFailed:
        code = spec.exit_code(ended.status)
        full = os.statvfs(self._executor._paths.data_root)
        message = spec.failure(
            self._step.args,
            code,
            out_of_memory=ended.out_of_memory,
            no_space=full.f_bavail * full.f_frsize < _FULL_BYTES or full.f_favail == 0,
        )
        return StepFailed(message, code)

    async def _delete(self) -> None:
        """What may take a moment and is in nobody's way."""
        await running.end(self._executor._layout, self._cgroup)
        await asyncio.to_thread(shutil.rmtree, self._directory, ignore_errors=True)
        await asyncio.to_thread(shutil.rmtree, self._scratch, ignore_errors=True)


_FULL_BYTES: Final = 1 << 20
