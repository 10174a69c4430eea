"""Exec: further processes in a running container.

An exec is created, started once, and stays to be inspected for a while after its end.
A running one leaves a small file beside its process for the pierd that comes after us; what
was only created, or has ended and was inspected, is in memory only.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import shutil
import time
from pathlib import Path
from typing import Any, Final

import msgspec

from pierhead import tasks
from pierhead.engine.containers import links
from pierhead.engine.containers.check_config import check_env
from pierhead.engine.containers.container import Container
from pierhead.engine.containers.context import Context
from pierhead.engine.containers.detach import parse_keys
from pierhead.engine.containers.events import emit
from pierhead.engine.containers.failures import NOT_EXECUTABLE, StartFailure, exec_failure
from pierhead.engine.containers.merge import clean_working_dir, replace_env
from pierhead.engine.containers.model import ExecConfig, Phase
from pierhead.engine.containers.pump import Outcome, pump
from pierhead.engine.containers.signalling import is_gone
from pierhead.engine.containers.specinputs import (
    no_new_privileges_of,
    rlimits_of,
    security_options,
)
from pierhead.engine.containers.users import lookup_user, read_account_files
from pierhead.engine.streams import STDERR, ClientIO
from pierhead.errors import Conflict, InvalidParameter, NotFound, PierError
from pierhead.linux import limits
from pierhead.oci import capabilities
from pierhead.oci.runtime_spec import SpecInputs, User, build_process, container_env
from pierhead.runtime.attach import ConmonAttach
from pierhead.runtime.conmon import Started
from pierhead.runtime.crun import RuntimeFailed

log = logging.getLogger(__name__)

KEPT_S: Final = 600.0  # how long an ended exec can be inspected
_START_WAIT_S: Final = 10.0
_EXIT_WAIT_S: Final = 5.0
_RECORD: Final = "exec.json"


class Exec:
    """One exec instance."""

    def __init__(self, exec_id: str, container: Container, config: ExecConfig) -> None:
        self.id = exec_id
        self.container = container
        self.config = config
        self.claimed = False
        self.running = False
        self.exit_code: int | None = None
        self.pid = 0
        self.started = asyncio.Event()  # also set when the start failed
        self.done = asyncio.Event()
        self.ended_s = 0.0  # monotonic

    @property
    def command(self) -> str:
        """As events show it."""
        words = self.config.cmd or []
        return " ".join([words[0], *words[1:]]) if len(words) > 1 else f"{words[0]} "

    def ended(self, exit_code: int) -> None:
        if self.exit_code is None:
            self.exit_code = exit_code
        self.running = False
        self.ended_s = time.monotonic()
        self.started.set()
        self.done.set()

    def container_gone(self) -> None:
        """The container has ended: so has this, killed, unless its end was seen already."""
        if self.running:
            self.ended(137)


class ExecRegistry:
    """Every exec that can be inspected."""

    def __init__(self) -> None:
        self._by_id: dict[str, Exec] = {}

    def add(self, instance: Exec) -> None:
        self._drop_old()
        self._by_id[instance.id] = instance
        instance.container.execs[instance.id] = instance

    def get(self, exec_id: str) -> Exec:
        found = self._by_id.get(exec_id)
        if found is None:
            raise NotFound(f"No such exec instance: {exec_id}")
        return found

    def forget(self, exec_id: str) -> None:
        found = self._by_id.pop(exec_id, None)
        if found is not None:
            found.container.execs.pop(exec_id, None)

    def _drop_old(self) -> None:
        limit = time.monotonic() - KEPT_S
        for instance in list(self._by_id.values()):
            if not instance.done.is_set():
                break  # insertion order: what follows is younger, mostly; good enough
            if instance.ended_s < limit:
                self.forget(instance.id)


def check_usable(container: Container) -> None:
    """Docker's words for a container that can't have an exec now."""
    if not container.active:
        raise Conflict(f"container {container.id} is not running")
    if container.status.phase is Phase.PAUSED:
        raise Conflict(f"container {container.id} is paused, unpause the container before exec")
    if container.status.phase is Phase.RESTARTING:
        raise Conflict(
            f"container {container.id} is restarting, wait until the container is running"
        )


async def exec_create(ctx: Context, container: Container, config: ExecConfig) -> str:
    """``POST /containers/{id}/exec``."""
    if not config.cmd:
        raise InvalidParameter("No exec command specified")
    check_usable(container)
    check_env([e for e in config.env or () if "=" in e or not e])
    parse_keys(config.detach_keys)
    if config.working_dir:
        config.working_dir = clean_working_dir(config.working_dir)
    instance = Exec(secrets.token_hex(32), container, config)
    ctx.execs.add(instance)
    emit(ctx, container, f"exec_create: {instance.command}", execID=instance.id)
    return instance.id


def _user(ctx: Context, container: Container, user: str) -> User:
    passwd, group = read_account_files(ctx.paths.rootfs(container.id))
    found = lookup_user(user, passwd, group, container.record.host_config.group_add)
    return User(uid=found.uid, gid=found.gid, additional_gids=found.supplementary)


class ExecSession:
    """A claimed exec, to be run once."""

    def __init__(
        self, ctx: Context, instance: Exec, *, tty: bool, console_size: tuple[int, int] | None
    ) -> None:
        self._ctx = ctx
        self._exec = instance
        self._tty = tty
        self._console_size = console_size
        self._captured = False  # by ourselves: of no interest to the next pierd

    @property
    def tty(self) -> bool:
        return self._tty

    async def run(self, io: ClientIO) -> None:
        """Start with the client's streams and serve it; failures are told on the stream."""
        config = self._exec.config
        try:
            process = await self._start(stdin=config.attach_stdin, attach=True)
        except PierError as error:
            try:
                await io.write(STDERR if not self._tty else 1, error.message.encode() + b"\r\n")
            except ConnectionError:
                pass
            return
        assert process is not None
        try:
            outcome = await pump(
                io,
                process,
                stdin=config.attach_stdin,
                stdout=config.attach_stdout,
                stderr=config.attach_stderr,
                keys=parse_keys(config.detach_keys) if self._tty else None,
            )
        finally:
            process.close()
        if outcome is Outcome.DETACHED:
            emit(self._ctx, self._exec.container, "exec_detach", execID=self._exec.id)
        elif outcome is Outcome.ENDED and (config.attach_stdout or config.attach_stderr):
            # The stock client asks for the exit code as soon as the stream ends.
            try:
                async with asyncio.timeout(_EXIT_WAIT_S):
                    await self._exec.done.wait()
            except TimeoutError:
                pass

    async def run_detached(self) -> None:
        """Start without streams. Raises as Docker does when it can't be started."""
        await self._start(stdin=False, attach=False)

    async def run_captured(self) -> ConmonAttach:
        """Start for ourselves (health checks); the caller reads and closes."""
        self._captured = True
        process = await self._start(stdin=False, attach=True)
        assert process is not None
        return process

    async def _start(self, *, stdin: bool, attach: bool) -> ConmonAttach | None:
        ctx, instance = self._ctx, self._exec
        container = instance.container
        instance.running = True
        emit(ctx, container, f"exec_start: {instance.command}", execID=instance.id)
        directory = ctx.paths.exec_dir(container.id, instance.id)
        try:
            # conmon gets ready while the process is described
            launch = ctx.conmon.launch_exec(
                runtime=ctx.runtime_of(self._exec.container.status),
                id=container.id,
                exec_id=instance.id,
                terminal=self._tty,
                stdin=stdin,
                directory=directory,
                attach=attach,
            )
            try:
                process_spec = self._process()
            except BaseException:
                launch.abandon()
                raise
            started, process = await launch.run(process_spec)
        except BaseException as error:
            if isinstance(error, RuntimeFailed) and is_gone(container):
                # It came too late: whatever the runtime stumbled over was the container's end.
                instance.ended(NOT_EXECUTABLE)
                _remove_late(directory)
                raise Conflict(f"container {container.id} is not running") from error
            failure = self._failure(error)
            instance.ended(failure.exit_code if failure else NOT_EXECUTABLE)
            shutil.rmtree(directory, ignore_errors=True)
            if failure:
                raise failure.as_error() from error
            raise
        instance.pid = started.pid
        instance.started.set()
        if not self._captured:
            _record(directory, instance, started)
        tasks.spawn(_watch(ctx, instance, started), name=f"exec {instance.id[:12]}")
        return process

    def _failure(self, error: BaseException) -> StartFailure | None:
        if not isinstance(error, RuntimeFailed):
            return None
        return exec_failure(error.message, (self._exec.config.cmd or [""])[0])

    def _process(self) -> dict[str, Any]:
        ctx, config = self._ctx, self._exec.config
        record = self._exec.container.record
        host = record.host_config
        privileged = config.privileged or host.privileged
        env = container_env(
            [*links.variables(ctx, self._exec.container), *(record.config.env or ())],
            hostname=record.config.hostname,
            terminal=self._tty,
        )
        caps = capabilities.effective(
            host.cap_add or (),
            host.cap_drop or (),
            privileged=privileged,
            available=limits.capabilities(),
        )
        return build_process(
            SpecInputs(
                args=config.cmd or [],
                env=replace_env(env, config.env),
                cwd=config.working_dir or record.config.working_dir or "/",
                terminal=self._tty,
                console_size=self._console_size,
                user=_user(ctx, self._exec.container, config.user or record.config.user),
                capabilities=caps,
                no_new_privileges=no_new_privileges_of(
                    security_options(host), ctx.settings.no_new_privileges
                ),
                rlimits=rlimits_of(ctx, host.ulimits),
                privileged=privileged,
                cgroups_path=ctx.cgroup_of(record),
            )
        )


def _remove_late(directory: Path) -> None:
    """Delete an exec's directory, and its parents if they were made for it after the end."""
    shutil.rmtree(directory, ignore_errors=True)
    for parent in list(directory.parents)[:2]:
        try:
            parent.rmdir()
        except OSError:
            return


class _Running(msgspec.Struct):
    """What the next pierd needs to know of an exec, beside its process."""

    config: ExecConfig
    pid: int
    conmon_pid: int
    conmon_start_ticks: int


def _record(directory: Path, instance: Exec, started: Started) -> None:
    """Leave word for a pierd that comes after us. Renamed into place: whole or not there."""
    running = _Running(instance.config, started.pid, started.conmon_pid, started.conmon_start_ticks)
    try:
        (directory / "new").write_bytes(msgspec.json.encode(running))
        os.rename(directory / "new", directory / _RECORD)
    except OSError as error:  # it has ended, and its directory with it
        log.debug("exec not recorded: %s", error, extra={"exec": instance.id})


def restore(ctx: Context, container: Container) -> None:
    """Know the execs of a running container that an earlier pierd started."""
    try:
        ids = os.listdir(ctx.paths.exec_dir(container.id, "x").parent)
    except OSError:
        return
    for exec_id in ids:
        directory = ctx.paths.exec_dir(container.id, exec_id)
        try:
            found = msgspec.json.decode((directory / _RECORD).read_bytes(), type=_Running)
        except (OSError, msgspec.DecodeError):
            continue  # of a health check, or half made
        instance = Exec(exec_id, container, found.config)
        instance.claimed = instance.running = True
        instance.pid = found.pid
        instance.started.set()
        ctx.execs.add(instance)
        started = Started(found.pid, found.conmon_pid, found.conmon_start_ticks)
        tasks.spawn(_watch(ctx, instance, started), name=f"exec {exec_id[:12]}")


async def _watch(ctx: Context, instance: Exec, started: Started) -> None:
    container = instance.container
    directory = ctx.paths.exec_dir(container.id, instance.id)
    found = await ctx.conmon.wait_exit(
        started.conmon_pid,
        started.conmon_start_ticks,
        ctx.conmon.exec_exit_file(directory, container.id),
    )
    instance.ended(found.exit_code if found.known else 137)
    shutil.rmtree(directory, ignore_errors=True)
    emit(
        ctx,
        container,
        "exec_die",
        execID=instance.id,
        exitCode=str(instance.exit_code),
    )


def prepare_exec(
    ctx: Context,
    exec_id: str,
    *,
    detach: bool,
    tty: bool | None,
    console_size: tuple[int, int] | None,
) -> ExecSession:
    """Check and claim. Raises ``Conflict`` if it has been started before."""
    instance = ctx.execs.get(exec_id)
    if ctx.registry.find(instance.container.id) is None:
        raise NotFound(f"No such container: {instance.container.id}")
    if instance.exit_code is not None:
        raise Conflict(f"exec command {exec_id} has already run")
    if instance.claimed:
        raise Conflict(f"exec command {exec_id} is already running")
    check_usable(instance.container)
    instance.claimed = True
    size = console_size
    asked = instance.config.console_size
    if size is None and asked and len(asked) == 2:
        size = (asked[0], asked[1])
    return ExecSession(ctx, instance, tty=instance.config.tty, console_size=size)


def exec_inspect(ctx: Context, exec_id: str) -> dict[str, Any]:
    """``GET /exec/{id}/json``."""
    instance = ctx.execs.get(exec_id)
    config = instance.config
    words = config.cmd or [""]
    return {
        "ID": instance.id,
        "Running": instance.running,
        "ExitCode": instance.exit_code,
        "ProcessConfig": {
            "tty": config.tty,
            "entrypoint": words[0],
            "arguments": words[1:],
            "privileged": config.privileged,
            "user": config.user or instance.container.record.config.user,
        },
        "OpenStdin": config.attach_stdin,
        "OpenStderr": config.attach_stderr,
        "OpenStdout": config.attach_stdout,
        "CanRemove": instance.done.is_set(),
        "ContainerID": instance.container.id,
        "DetachKeys": "",
        "Pid": instance.pid,
    }


async def exec_resize(ctx: Context, exec_id: str, height: int, width: int) -> None:
    """The client asks right after its start request: wait for the process to be there."""
    instance = ctx.execs.get(exec_id)
    if not instance.started.is_set():
        try:
            async with asyncio.timeout(_START_WAIT_S):
                await instance.started.wait()
        except TimeoutError:
            raise Conflict(f"exec {exec_id} has not been started: can't resize it") from None
    if not instance.running:
        raise Conflict(f"exec {exec_id} is not running: can't resize it")
    directory = ctx.paths.exec_dir(instance.container.id, instance.id)
    await ctx.conmon.resize(directory, height, width)
