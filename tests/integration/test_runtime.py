"""conmon and crun for real: a busybox container from create to delete, and execs in it."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from pierhead.linux import cgroup_stats, cgroups, mounts, process, seccomp, syscalls
from pierhead.oci import capabilities, runtime_spec
from pierhead.runtime.conmon import Conmon, ExitStatus, Started
from pierhead.runtime.crun import Runtime, RuntimeFailed
from pierhead.store.paths import Paths

pytestmark = pytest.mark.root

APPLETS = "sh true cat ls sleep echo id stty tail mount unshare chroot".split()


@pytest.fixture(scope="module")
def rootfs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    busybox = shutil.which("busybox")
    if busybox is None:
        pytest.skip("needs busybox-static")
    root = tmp_path_factory.mktemp("rootfs")
    root.chmod(0o755)  # other users of the container must get in
    for name in ("bin", "proc", "sys", "dev", "etc", "tmp", "root"):
        (root / name).mkdir()
    shutil.copy(busybox, root / "bin" / "busybox")
    for applet in APPLETS:
        (root / "bin" / applet).symlink_to("busybox")
    (root / "etc" / "passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    return root


@pytest.fixture
def paths(tmp_path: Path) -> Iterator[Paths]:
    # sockets and fifos where a real one has them, and short
    run = Path(f"/run/pierhead-test-{secrets.token_hex(4)}")
    paths = Paths(tmp_path / "data", run)
    paths.create()
    yield paths
    mounts.unmount_below(run)
    shutil.rmtree(run)


class Bench:
    """What pierd wires together, for tests."""

    def __init__(self, paths: Paths, rootfs: Path) -> None:
        cgroups.prepare()
        self.paths = paths
        self.rootfs = rootfs
        self.runtime = Runtime(paths)
        self.runtime.prepare()
        self.conmon = Conmon(paths, self.runtime)
        self.conmon.prepare()
        self.filters = seccomp.SeccompCache(paths.exec_root / "seccomp")

    def spec(self, container_id: str, args: list[str], **changes: Any) -> dict[str, Any]:
        caps = changes.pop("capabilities", capabilities.effective())
        found = self.filters.get(caps)
        values: dict[str, Any] = {
            "args": args,
            "env": runtime_spec.container_env((), hostname="h", terminal=False),
            "hostname": "h",
            "capabilities": caps,
            "cgroups_path": cgroups.container_path(container_id),
            "cgroup": None,
            "seccomp": found.profile,
            "seccomp_bpf": found.bpf,
        }
        return runtime_spec.build_spec(runtime_spec.SpecInputs(**{**values, **changes}))

    @asynccontextmanager
    async def created(
        self,
        args: list[str],
        *,
        stdin: bool = False,
        leave_stdin_open: bool = False,
        **changes: Any,
    ) -> AsyncIterator[tuple[str, Started]]:
        container_id = secrets.token_hex(32)
        bundle = self.paths.bundle(container_id)
        (bundle / "rootfs").mkdir(parents=True)
        mounts.bind(self.rootfs, bundle / "rootfs", recursive=False)
        spec = self.spec(container_id, args, **changes)
        (bundle / "config.json").write_text(json.dumps(spec))
        try:
            started = await self.conmon.create(
                id=container_id,
                bundle=bundle,
                log_path=bundle / "log",
                terminal=bool(changes.get("terminal")),
                stdin=stdin,
                leave_stdin_open=leave_stdin_open,
            )
            try:
                yield container_id, started
            finally:
                await self.runtime.delete(container_id, force=True)
                await self.exit(container_id, started)
        finally:
            mounts.unmount(bundle / "rootfs")

    async def exit(self, container_id: str, started: Started) -> ExitStatus:
        async with asyncio.timeout(20):
            return await self.conmon.wait_exit(
                started.conmon_pid,
                started.conmon_start_ticks,
                self.paths.exits / container_id,
                directory=self.paths.bundle(container_id),
            )

    async def run(self, args: list[str], **changes: Any) -> tuple[ExitStatus, bytes]:
        """Start to end; returns the exit and stdout with stderr."""
        async with self.created(args, **changes) as (container_id, started):
            attach = await self.conmon.attach(self.paths.bundle(container_id))
            await self.conmon.start(container_id)
            output = b""
            async with asyncio.timeout(20):
                while (packet := await attach.read()) is not None:
                    output += packet[1]
            attach.close()
            return await self.exit(container_id, started), output


@pytest.fixture
def bench(paths: Paths, rootfs: Path) -> Iterator[Bench]:
    bench = Bench(paths, rootfs)
    yield bench
    bench.runtime.close()
    layout = bench.runtime.layout
    for base in layout.hierarchies():
        left = base / "pierhead"
        assert not left.exists() or not any(
            entry.name in os.listdir(paths.bundles) for entry in left.iterdir()
        )


async def test_streams_exit_code_and_log(bench: Bench) -> None:
    async with bench.created(["sh", "-c", "echo out; echo err >&2; exit 3"]) as (cid, started):
        state = await bench.runtime.state(cid)
        assert state is not None
        assert (state["status"], state["pid"]) == ("created", started.pid)
        attach = await bench.conmon.attach(bench.paths.bundle(cid))
        await bench.conmon.start(cid)
        assert await attach.read() == (1, b"out\n")
        assert await attach.read() == (2, b"err\n")
        assert await attach.read() is None
        attach.close()
        status = await bench.exit(cid, started)
        assert (status.exit_code, status.oom_killed, status.known) == (3, False, True)
        lines = (bench.paths.bundle(cid) / "log").read_text().splitlines()
        assert [line.split(" ", 1)[1] for line in lines] == ["stdout F out", "stderr F err"]


async def test_confinement(bench: Bench) -> None:
    status, output = await bench.run(
        ["sh", "-c", "cat /proc/self/status; ls /proc/acpi; unshare -m true; mount -t tmpfs x /tmp"]
    )
    text = output.decode()
    assert "CapEff:\t00000000a80425fb" in text
    assert "Seccomp:\t2" in text
    assert "unshare" in text
    assert "Operation not permitted" in text or "permission denied" in text
    assert status.exit_code != 0


async def test_a_user_without_rights(bench: Bench) -> None:
    _, output = await bench.run(
        ["sh", "-c", "id; cat /proc/self/status"],
        user=runtime_spec.User(uid=1000, gid=2000, additional_gids=[3000]),
    )
    assert b"uid=1000 gid=2000 groups=2000,3000" in output
    assert b"CapEff:\t0000000000000000" in output


async def test_stdin_closes_with_its_client(bench: Bench) -> None:
    async with bench.created(["cat"], stdin=True) as (cid, started):
        attach = await bench.conmon.attach(bench.paths.bundle(cid))
        await attach.write(b"early ")  # before the start: the fifo keeps it
        await bench.conmon.start(cid)
        await attach.write(b"late")
        await attach.close_stdin()
        output = b""
        while (packet := await attach.read()) is not None:
            output += packet[1]
        attach.close()
        assert output == b"early late"
        assert (await bench.exit(cid, started)).exit_code == 0


async def test_stdin_that_stays_open_takes_another_client(bench: Bench) -> None:
    async with bench.created(["cat"], stdin=True, leave_stdin_open=True) as (cid, _):
        await bench.conmon.start(cid)
        for word in (b"one", b"two"):
            attach = await bench.conmon.attach(bench.paths.bundle(cid))
            await attach.write(word)
            assert await attach.read() == (1, word)
            await attach.close_stdin()
            attach.close()


async def test_terminal_and_its_size(bench: Bench) -> None:
    async with bench.created(
        ["sh", "-c", "stty size; cat >/dev/null; stty size"],
        stdin=True,
        terminal=True,
        console_size=(40, 100),
    ) as (cid, started):
        bundle = bench.paths.bundle(cid)
        attach = await bench.conmon.attach(bundle)
        await bench.conmon.start(cid)
        assert await attach.read() == (1, b"40 100\r\n")
        await bench.conmon.resize(bundle, 20, 60)
        await asyncio.sleep(0.1)
        await attach.write(b"\x04")
        assert await attach.read() == (1, b"20 60\r\n")
        attach.close()
        assert (await bench.exit(cid, started)).exit_code == 0


@pytest.mark.parametrize(
    ("args", "text"),
    [(["nope"], "not found in \\$PATH"), (["/etc/passwd"], "Permission denied")],
)
async def test_what_can_t_be_run_fails_at_create(bench: Bench, args: list[str], text: str) -> None:
    with pytest.raises(RuntimeFailed, match=text):
        await bench.run(args)
    assert await bench.runtime.list_ids() == []


async def test_running_out_of_memory_is_seen(bench: Bench) -> None:
    async with bench.created(
        ["sh", "-c", "tail /dev/zero"],
        resources=runtime_spec.Resources(memory=8 << 20, memory_swap=8 << 20),
    ) as (cid, started):
        await bench.conmon.start(cid)
        status = await bench.exit(cid, started)
        assert status.exit_code == 137
        group = cgroups.container_path(cid)
        assert status.oom_killed or cgroups.oom_killed(bench.runtime.layout, group)


async def test_limits_processes_pause_and_statistics(bench: Bench) -> None:
    async with bench.created(
        ["sleep", "1000"], resources=runtime_spec.Resources(memory=64 << 20, pids_limit=20)
    ) as (cid, started):
        await bench.conmon.start(cid)
        layout, group = bench.runtime.layout, cgroups.container_path(cid)
        assert cgroups.pids(layout, group) == [started.pid] == await bench.runtime.ps(cid)
        stats = cgroup_stats.read_stats(layout, group)
        assert stats["memory_stats"]["limit"] == 64 << 20
        assert stats["pids_stats"] == {"current": 1, "limit": 20}
        update = runtime_spec.build_resources(runtime_spec.Resources(memory=32 << 20))
        await bench.runtime.update(cid, update)
        assert cgroup_stats.read_stats(layout, group)["memory_stats"]["limit"] == 32 << 20
        await bench.runtime.pause(cid)
        assert ((await bench.runtime.state(cid)) or {})["status"] == "paused"
        await bench.runtime.resume(cid)
        await bench.runtime.kill(cid, 9)
        assert (await bench.exit(cid, started)).exit_code == 137


async def test_exec(bench: Bench) -> None:
    async with bench.created(["sleep", "1000"]) as (cid, _):
        await bench.conmon.start(cid)

        async def run(args: list[str], stdin: bytes | None = None, tty: bool = False) -> Any:
            found = runtime_spec.SpecInputs(
                args=args,
                env=["PATH=/bin"],
                terminal=tty,
                capabilities=capabilities.effective(),
                cgroups_path="",
            )
            exec_id = secrets.token_hex(32)
            directory = bench.paths.exec_dir(cid, exec_id)
            started, attach = await bench.conmon.exec(
                id=cid,
                exec_id=exec_id,
                process=runtime_spec.build_process(found),
                terminal=tty,
                stdin=stdin is not None,
                directory=directory,
            )
            assert attach is not None
            if stdin is not None:
                await attach.write(stdin)
                if not tty:
                    await attach.close_stdin()
            output = b""
            while (packet := await attach.read()) is not None:
                output += packet[1]
            attach.close()
            status = await bench.conmon.wait_exit(
                started.conmon_pid,
                started.conmon_start_ticks,
                bench.conmon.exec_exit_file(directory, cid),
            )
            return status.exit_code, output

        assert await run(["sh", "-c", "echo hi; exit 4"]) == (4, b"hi\n")
        assert await run(["cat"], stdin=b"x" * 100_000) == (0, b"x" * 100_000)
        code, output = await run(["cat"], stdin=b"y\n\x04", tty=True)
        assert (code, output) == (0, b"y\r\ny\r\n")
        assert b"Seccomp:\t2" in (await run(["cat", "/proc/self/status"]))[1]
        with pytest.raises(RuntimeFailed, match="not found"):
            await run(["nope"])
        # several at once
        results = await asyncio.gather(*(run(["sh", "-c", f"exit {n}"]) for n in range(6)))
        assert [code for code, _ in results] == list(range(6))


async def test_a_reopened_log_goes_to_a_new_file(bench: Bench) -> None:
    async with bench.created(["cat"], stdin=True, leave_stdin_open=True) as (cid, _):
        bundle = bench.paths.bundle(cid)
        await bench.conmon.start(cid)
        attach = await bench.conmon.attach(bundle)
        await attach.write(b"first\n")
        await attach.read()
        (bundle / "log").rename(bundle / "log.1")
        await bench.conmon.reopen_logs(bundle)
        async with asyncio.timeout(5):
            while not (bundle / "log").exists():
                await asyncio.sleep(0.01)
        await attach.write(b"second\n")
        await attach.read()
        attach.close()
        assert "first" in (bundle / "log.1").read_text()
        assert "second" in (bundle / "log").read_text()


async def test_a_conmon_we_did_not_start(bench: Bench) -> None:
    async with bench.created(["sh", "-c", "sleep 0.2; exit 9"]) as (cid, started):
        await bench.conmon.start(cid)
        later = Conmon(bench.paths, bench.runtime)
        assert later.is_alive(started.conmon_pid, started.conmon_start_ticks)
        async with asyncio.timeout(10):
            status = await later.wait_exit(
                started.conmon_pid, started.conmon_start_ticks, bench.paths.exits / cid
            )
        assert (status.exit_code, status.known) == (9, True)
        assert not later.is_alive(started.conmon_pid, started.conmon_start_ticks)


async def test_the_binary_lies_on_a_read_only_mount(bench: Bench) -> None:
    assert bench.runtime.path.startswith(str(bench.paths.exec_root))
    entry = next(e for e in mounts.mountinfo() if e.target == bench.runtime.path)
    assert "ro" in entry.options.split(",")
    assert (await bench.runtime.version())[0].isdigit()
    again = Runtime(bench.paths)
    again.prepare()
    assert again.path == bench.runtime.path
    assert sum(e.target == again.path for e in mounts.mountinfo()) == 1


@pytest.fixture
def subreaper() -> Iterator[None]:
    """We are one for the time of a test only: later orphans of killed daemons would come to
    us, who don't reap them, and a container can't end before its zombies are reaped.
    """
    process.become_subreaper()
    yield
    syscalls.prctl(syscalls.PR_SET_CHILD_SUBREAPER, 0)


@pytest.mark.usefixtures("subreaper")
async def test_an_orphan_of_a_container_is_ours_to_reap(bench: Bench) -> None:
    """conmon killed: the container's process comes to the subreaper and is no zombie for long."""
    async with bench.created(["sleep", "1000"]) as (cid, started):
        await bench.conmon.start(cid)
        os.kill(started.conmon_pid, 9)
        status = await bench.exit(cid, started)
        assert not status.known
        await bench.runtime.kill(cid, 9)
        async with asyncio.timeout(5):
            while process.process_start_ticks(started.pid) is not None:
                await asyncio.sleep(0.01)
        os.waitpid(started.pid, os.WNOHANG)
