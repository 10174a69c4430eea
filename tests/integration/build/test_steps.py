"""RUN steps on the real kernel: what they see, what they leave, and what ends them."""

from __future__ import annotations

import asyncio
import os
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from pierhead.build.execute import network
from pierhead.build.execute.model import (
    MountKind,
    RunStep,
    Sharing,
    StepFailed,
    StepFile,
    StepMount,
)
from pierhead.build.files.model import Source, SourceKind
from pierhead.build.model import Limits, NetworkMode
from pierhead.errors import Conflict, InvalidParameter, NotFound, Unavailable
from pierhead.linux import mounts
from support.leaks import mounts_below, veths
from support.steps import Lab, lab

pytestmark = pytest.mark.root

BRIDGE = "br4rtest"


@pytest.fixture
async def steps(tmp_path: Path) -> AsyncIterator[Lab]:
    tmp_path.chmod(0o755)
    async with lab(tmp_path, BRIDGE) as made:
        yield made
    assert mounts_below(tmp_path) == []


def tree(steps: Lab, root: Path, files: dict[str, str]) -> Source:
    """A source for bind mounts."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    steps.files.trees[root.name] = root
    return Source(kind=SourceKind.CONTEXT, name=root.name)


def mount(kind: MountKind, target: str, **more: Any) -> StepMount:
    return StepMount(kind=kind, target=target, **more)


async def test_a_step_sees_what_a_build_shows_and_leaves_what_it_wrote(steps: Lab) -> None:
    base = await steps.base()
    outcome = await steps.run(
        base,
        "hostname; pwd; id; cat /etc/hosts; echo $A; cat /proc/1/status | grep CapEff;"
        "touch /proc/sys/kernel/x 2>/dev/null || echo guarded;"
        "echo text > /var/lib/new; rm -r /home",
        env=["A=b c", "PATH=/bin"],
        add_hosts=[("db", "10.1.2.3")],
        working_dir="/var/lib",
    )
    assert steps.text.splitlines() == [
        "buildkitsandbox",
        "/var/lib",
        "uid=0(root) gid=0(root) groups=0(root)",
        "127.0.0.1\tlocalhost buildkitsandbox",
        "::1\tlocalhost ip6-localhost ip6-loopback",
        "10.1.2.3\tdb",
        "b c",
        "CapEff:\t00000000a80425fb",
        "guarded",
    ]
    assert outcome.changed and outcome.size_bytes == 5
    assert outcome.chain_id is not None and outcome.max_memory_bytes > 0 and outcome.cpu_ns > 0
    assert set(await steps.members(outcome.chain_id)) == {
        ".wh.home",
        "var",
        "var/lib",
        "var/lib/new",
    }

    again = await steps.run(
        outcome.chain_id, "cat /var/lib/new; echo err >&2; id -u", user="worker"
    )
    assert b"".join(data for stream, data in steps.output if stream == 1) == b"text\n1000\n"
    assert (2, b"err\n") in steps.output
    assert not again.changed and again.chain_id not in (None, outcome.chain_id)
    assert again.chain_id is not None and await steps.tar(again.chain_id) == bytes(1024)


async def test_a_classic_step_is_in_a_container(steps: Lab) -> None:
    base = await steps.base()
    outcome = await steps.run(
        base,
        "hostname; cat /etc/hostname; env | grep HOST; ls -d /.dockerenv;"
        "echo x >> /etc/hosts; echo y > /etc/hostname",
        classic=True,
    )
    first, *rest = steps.text.split()
    assert rest == [first, f"HOSTNAME={first}", "/.dockerenv"] and len(first) == 12
    assert not outcome.changed
    with pytest.raises(StepFailed):
        await steps.run(base, "echo x >> /etc/hosts")


async def test_times_are_clamped_and_equal_input_gives_equal_layers(steps: Lab) -> None:
    base = await steps.base()
    script = "mkdir -p /a/b; echo x > /a/b/c; ln -s c /a/b/d; ln /a/b/c /a/b/e"
    first = await steps.run(base, script, epoch_s=1_000_000_000)
    second = await steps.run(base, script, epoch_s=1_000_000_000)
    assert first.chain_id == second.chain_id is not None
    assert {m.mtime for m in (await steps.members(first.chain_id)).values()} == {1_000_000_000}


async def test_mounts_are_there_and_leave_no_trace(steps: Lab, tmp_path: Path) -> None:
    base = await steps.base()
    source = tree(steps, tmp_path / "context", {"src/main": "code\n", "one": "single\n"})
    steps.client.secrets["token"] = b"s3cret"
    outcome = await steps.run(
        base,
        "cat /src/main /run/one/file /run/secrets/token /hello; echo $TOKEN; ls -ln /run/secrets;"
        "touch /src/x 2>/dev/null || echo read-only; echo w > /rw/main; cat /rw/main;"
        "echo c > /root/.cache/tool/kept; echo t > /scratch/t; df /scratch | tail -1;"
        "mount | grep -c secret",
        mounts=[
            mount(MountKind.BIND, "/src", source=source, source_path="/src"),
            mount(MountKind.BIND, "/rw", source=source, source_path="/src", read_write=True),
            mount(MountKind.BIND, "/run/one/file", source=source, source_path="/one"),
            mount(MountKind.CACHE, "/root/.cache/tool", read_write=True),
            mount(MountKind.TMPFS, "/scratch", size_bytes=1 << 20),
            mount(MountKind.SECRET, "/run/secrets/token", id="token", env="TOKEN", uid=7),
            mount(MountKind.SECRET, "/run/secrets/other", id="other"),
        ],
        files=[StepFile(path="/hello", data=b"heredoc\n")],
    )
    lines = steps.text.splitlines()
    assert lines[:4] == ["code", "single", "s3credheredoc".replace("d", "t", 1), "s3cret"]
    assert lines[5].split()[:3] == ["-r--------", "1", "7"]
    assert lines[6:8] == ["read-only", "w"]
    assert " 1024 " in lines[8]
    assert not outcome.changed and outcome.chain_id is not None
    assert (tmp_path / "context/src/main").read_text() == "code\n"
    assert all(given.released == 1 for given in steps.files.given)
    assert [kept.id for kept in steps.executor.mounts.list()] == ["/root/.cache/tool"]

    with pytest.raises(NotFound, match="secret other: not found"):
        await steps.run(
            base, "true", mounts=[mount(MountKind.SECRET, "/x", id="other", required=True)]
        )
    for root, _, names in os.walk(tmp_path):
        for name in names:
            path = Path(root, name)
            if path.is_file() and not path.is_symlink() and path.stat().st_size < 1 << 20:
                assert b"s3cret" not in path.read_bytes(), path


async def test_what_a_step_writes_beside_a_mount_stays(steps: Lab, tmp_path: Path) -> None:
    base = await steps.base()
    cache = mount(MountKind.CACHE, "/var/cache/x/y", read_write=True)
    outcome = await steps.run(base, "echo 1 > /var/cache/kept", mounts=[cache], epoch_s=1)
    assert outcome.chain_id is not None
    assert set(await steps.members(outcome.chain_id)) == {"var", "var/cache", "var/cache/kept"}
    # a link that the step put above a mount point leads nowhere outside
    victim = tmp_path / "victim"
    (victim / "a").mkdir(parents=True)
    script = f"mv /home /old && ln -s {victim} /home"
    await steps.run(base, script, mounts=[mount(MountKind.TMPFS, "/srv/a")])
    await steps.run(base, f"mkdir /x; umount /srv/a; rm -rf /srv; ln -s {victim} /srv", mounts=[
        mount(MountKind.TMPFS, "/srv/a")
    ], insecure=True)  # fmt: skip
    assert (victim / "a").is_dir()


async def test_mounts_within_mounts(steps: Lab, tmp_path: Path) -> None:
    base = await steps.base()
    source = tree(steps, tmp_path / "context", {"package": "p\n"})
    outcome = await steps.run(
        base,
        "cat /src/package; touch /src/x 2>/dev/null || echo read-only;"
        "echo m > /src/node_modules/m; ls /src",
        mounts=[
            mount(MountKind.BIND, "/src", source=source),
            mount(MountKind.CACHE, "/src/node_modules", read_write=True),
        ],
    )
    assert steps.text.splitlines()[:3] == ["p", "read-only", "node_modules"]
    assert not outcome.changed
    assert os.listdir(tmp_path / "context") == ["package"]


async def test_cache_mounts_keep_share_and_lock(steps: Lab) -> None:
    base = await steps.base()

    def cache(sharing: Sharing = Sharing.SHARED, **more: Any) -> list[StepMount]:
        return [mount(MountKind.CACHE, "/c", id="it", sharing=sharing, read_write=True, **more)]

    async def go(script: str, mounts: list[StepMount]) -> str:
        out: list[bytes] = []
        step = RunStep(args=["/bin/sh", "-c", script], mounts=mounts)
        await steps.executor.run(base, step, steps.client, lambda _, data: out.append(data))  # type: ignore[arg-type]
        return b"".join(out).decode()

    await go("echo 0 > /c/n; stat -c '%a' /c", cache())
    add = "n=$(cat /c/n); sleep 0.1; echo $((n + 1)) > /c/n"
    await asyncio.gather(*(go(add, cache(Sharing.LOCKED)) for _ in range(3)))
    assert await go("cat /c/n", cache()) == "3\n"

    def together(directory: str, name: str) -> str:
        """Shell words that go on once two steps have come here."""
        wait = f"while [ $(ls {directory} | grep -c {name}-) != 2 ]; do sleep 0.01; done"
        return f"touch {directory}/{name}-$N; {wait}"

    await asyncio.gather(*(go(f"N={n}; {together('/c', 'r')}", cache()) for n in range(2)))
    meet = mount(MountKind.CACHE, "/meet", read_write=True)
    private = [*cache(Sharing.PRIVATE), meet]
    first, second = await asyncio.gather(
        *(go(f"N={n}; ls /c | grep -c n; {together('/meet', 'p')}", private) for n in range(2))
    )
    assert {first, second} == {"1\n", "0\n"}
    assert await go("stat -c '%a %u' /c; ls /c", cache(uid=1000, mode=0o700)) == "700 1000\n"
    with pytest.raises(StepFailed):
        await go("touch /c/x", [mount(MountKind.CACHE, "/c", id="it")])

    caches = steps.executor.mounts
    await caches.measure()
    kept = {one.id: one for one in caches.list()}
    assert set(kept) == {"it", "it#2", "/meet", "it;owner=1000:0;mode=700"}
    assert kept["it"].size_bytes == 2 and kept["it"].uses >= 7
    tar = b"".join([chunk async for chunk in caches.export("it")])

    async def chunks() -> AsyncIterator[bytes]:
        yield tar[:600]
        yield tar[600:]

    assert not await caches.import_("it", "it", chunks())
    assert await caches.import_("copy", "copy", chunks())
    assert await go("cat /d/n", [mount(MountKind.CACHE, "/d", id="copy")]) == "3\n"
    assert await caches.remove(["it", "copy", "unknown"]) == 2
    assert await go("ls /c", cache()) == ""


async def test_an_ssh_agent_is_reached(steps: Lab, tmp_path: Path) -> None:
    class Connection:
        def __init__(self) -> None:
            self.asked = asyncio.Event()
            self.text = b""
            self.sent = False

        async def read(self) -> bytes:
            await self.asked.wait()
            if self.sent:
                return b""
            self.sent = True
            return b"answer to " + self.text

        async def write(self, data: bytes) -> None:
            self.text += data
            self.asked.set()

        async def close(self) -> None:
            pass

    class Agent:
        async def connect(self) -> Connection:
            return Connection()

    base = await steps.base()
    steps.client.agents["default"] = Agent()
    wanted = mount(MountKind.SSH, "", id="default", required=True)
    script = "echo $SSH_AUTH_SOCK; stat -c '%a %F' $SSH_AUTH_SOCK; read x < /fifo"
    running = asyncio.ensure_future(steps.run(base, f"mknod /fifo p; {script}", mounts=[wanted]))
    while "socket" not in steps.text:
        await asyncio.sleep(0.01)
        assert not running.done()
    (place,) = (tmp_path / "exec/build/steps").iterdir()
    directory = os.open(place / "private", os.O_PATH)  # the path may be too long for a socket
    reader, writer = await asyncio.open_unix_connection(f"/proc/self/fd/{directory}/agent-0")
    os.close(directory)
    writer.write(b"question")
    assert await reader.read() == b"answer to question"
    writer.close()
    Path(place, "rootfs/fifo").write_text("\n")
    outcome = await running
    assert steps.text == "/run/buildkit/ssh_agent.0\n600 socket\n"
    assert outcome.chain_id is not None
    assert set(await steps.members(outcome.chain_id)) == {"fifo"}
    with pytest.raises(NotFound, match='no SSH key "work" forwarded from the client'):
        await steps.run(base, "true", mounts=[mount(MountKind.SSH, "", id="work", required=True)])


async def test_networks(steps: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "IDLE_S", 60.0)
    base = await steps.base()
    await steps.run(base, "ip -o addr show eth0 | grep -c inet; ip route | head -1")
    assert steps.text.startswith("1\ndefault via ")
    await steps.run(base, "ls /sys/class/net", network=NetworkMode.NONE)
    assert steps.text == "lo\n"
    await steps.run(base, "ls /sys/class/net", network=NetworkMode.HOST)
    assert set(steps.text.split()) >= {"lo", BRIDGE}
    assert len(veths(BRIDGE)) == 1  # kept for the next
    meet = [mount(MountKind.CACHE, "/meet", read_write=True)]
    both = "while [ $(ls /meet | wc -l) != 2 ]; do sleep 0.01; done"
    await asyncio.gather(
        *(steps.run(base, f"touch /meet/{n}; {both}", mounts=meet) for n in range(2))
    )
    assert len(veths(BRIDGE)) == 2


async def test_failures_are_told_and_leave_nothing(steps: Lab, tmp_path: Path) -> None:
    base = await steps.base()
    with pytest.raises(StepFailed) as failed:
        await steps.run(base, 'echo "a"\nexit 3')
    assert failed.value.exit_code == 3
    assert str(failed.value) == (
        r'process "/bin/sh -c echo \"a\"\nexit 3" did not complete successfully: exit code: 3'
    )
    with pytest.raises(StepFailed) as failed:
        await steps.run(base, "sh -c 'kill -9 $$'; exit $?")
    assert failed.value.exit_code == 137
    with pytest.raises(StepFailed) as failed:
        step = RunStep(args=["nope", "x"])
        await steps.executor.run(base, step, steps.client, lambda *_: None)  # type: ignore[arg-type]
    assert failed.value.exit_code == 127
    with pytest.raises(InvalidParameter, match="unable to find user nobody"):
        await steps.run(base, "true", user="nobody")
    with pytest.raises(StepFailed, match="exit code: 137: cannot allocate memory"):
        await steps.run(base, "tail /dev/zero", limits=Limits(memory=16 << 20))
    await steps.run(
        base, "ulimit -n; df /dev/shm | tail -1",
        limits=Limits(ulimits=[("nofile", 123, 456)], shm_size=2 << 20),
    )  # fmt: skip
    assert steps.text.split()[0] == "123" and "2048" in steps.text

    running = asyncio.ensure_future(steps.run(base, "echo up; sleep 1000"))
    while not steps.text:
        await asyncio.sleep(0.01)
        assert not running.done()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    async with asyncio.timeout(10):
        while os.listdir(tmp_path / "exec/build/steps"):
            await asyncio.sleep(0.02)
    assert os.listdir(tmp_path / "data/builds/steps") == []
    snapshots = tmp_path / f"data/snapshots/{steps.snapshots.driver}/containers"
    assert os.listdir(snapshots) == []
    assert stat.S_ISDIR(os.stat(snapshots).st_mode)


async def test_steps_cancelled_at_any_moment_leave_nothing(steps: Lab, tmp_path: Path) -> None:
    base = await steps.base()
    await steps.run(base, "true")

    async def one(delay_s: float) -> None:
        running = asyncio.ensure_future(steps.run(base, "echo > /f; sleep 1000"))
        await asyncio.sleep(delay_s)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    await asyncio.gather(*(one(number * 0.004) for number in range(16)))
    async with asyncio.timeout(20):
        while os.listdir(tmp_path / "exec/build/steps"):
            await asyncio.sleep(0.02)
    snapshots = tmp_path / f"data/snapshots/{steps.snapshots.driver}/containers"
    assert os.listdir(snapshots) == []
    assert [path for path in mounts_below(tmp_path) if "/steps/" in path] == []


async def test_a_lot_of_output_is_clipped_but_its_end_is_told(steps: Lab) -> None:
    base = await steps.base()
    with pytest.raises(StepFailed):
        await steps.run(base, "yes 0123456789 | head -c 4000000; echo the end; exit 1")
    assert "[output clipped, log limit 2MiB reached]" in steps.text
    assert steps.text.endswith("the end\n")
    assert len(steps.text) < 2.4 * (1 << 20)


async def talk(shell: Any, text: str) -> bytes:
    """Send a line, end the input, read to the end."""
    await shell.write(text.encode())
    await shell.close_stdin()
    said = b""
    async with asyncio.timeout(30):
        while data := await shell.read():
            said += data
    return said


async def test_a_failed_step_is_kept_and_looked_at(steps: Lab, tmp_path: Path) -> None:
    base = await steps.base()
    cache = mount(MountKind.CACHE, "/cache", read_write=True)
    with pytest.raises(StepFailed) as failed:
        await steps.run(
            base, "echo half > /half; echo c > /cache/c; exit 4",
            mounts=[cache, mount(MountKind.SECRET, "/s", id="s")],
            env=["WHO=me"], user="0", working_dir="/tmp", keep_failed=True, build_ref="ref1",
            name="[2/2] RUN half", files=[StepFile(path="/doc", data=b"x")],
            add_hosts=[("a", "10.0.0.1")], limits=Limits(ulimits=[("nofile", 50, 50)]),
        )  # fmt: skip
    debug_id = failed.value.debug_id
    (kept,) = steps.executor.kept()
    assert kept.id.startswith(f"build-{debug_id}") and kept.exit_code == 4
    assert steps.executor.live_keys() == {kept.id}

    shell = await steps.executor.debug_shell(debug_id)
    with pytest.raises(Conflict):
        await steps.executor.debug_shell("ref1")
    said = await talk(shell, "pwd; echo $WHO; cat /half /cache/c /doc; echo more > /half; exit 7\n")
    assert said.decode().splitlines() == ["/tmp", "me", "half", "c", "x"]
    assert await shell.wait() == 7
    await shell.close()

    shell = await steps.executor.debug_shell("ref1", ["/bin/sh"], tty=True, size=(24, 80))
    await shell.resize(33, 99)
    said = await talk(shell, "stty size; cat /half; exit\n")
    assert b"33 99" in said and b"more" in said
    assert await shell.wait() == 0
    await shell.close()
    with pytest.raises(StepFailed):
        await steps.executor.debug_shell("ref1", ["/nope"])

    before = steps.executor.kept()
    await steps.stop()
    await steps.start()  # as after a restart
    assert [(one.id, one.step.args) for one in steps.executor.kept()] == [
        (one.id, one.step.args) for one in before
    ]
    shell = await steps.executor.debug_shell(debug_id, ["/bin/cat", "/half"])
    assert await talk(shell, "") == b"more\n"
    await shell.close()
    await steps.executor.forget(debug_id)
    with pytest.raises(NotFound):
        await steps.executor.debug_shell(debug_id)
    snapshots = tmp_path / f"data/snapshots/{steps.snapshots.driver}/containers"
    assert os.listdir(snapshots) == []


async def test_what_a_kill_left_is_cleaned_up(steps: Lab, tmp_path: Path) -> None:
    base = await steps.base()
    victim = subprocess.Popen(
        [sys.executable, "-c", VICTIM, os.fspath(tmp_path), base],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert victim.stdout is not None and victim.stdout.readline() == b"up\n"
    victim.kill()
    victim.wait()
    victim.stdout.close()
    (left,) = os.listdir(tmp_path / "exec/build/steps")
    groups = [base / "pierhead" / left for base in steps.layout.hierarchies()]
    assert mounts_below(tmp_path / "exec/build") and any(group.exists() for group in groups)
    await steps.stop()
    await steps.start()
    assert mounts_below(tmp_path / "exec/build") == []
    assert os.listdir(tmp_path / "exec/build/steps") == []
    snapshots = tmp_path / f"data/snapshots/{steps.snapshots.driver}/containers"
    assert os.listdir(snapshots) == []
    assert not [group for group in groups if group.exists()]


async def test_a_full_disk_is_told_and_is_free_again(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mounts.mount_tmpfs(small, options="size=48m,mode=755")
    try:
        async with lab(small, BRIDGE) as steps:
            base = await steps.base()
            with pytest.raises(StepFailed, match="exit code: 1: no space left on device"):
                await steps.run(base, "cat /dev/zero > /big")
            await free(small)
            with pytest.raises(Unavailable, match="layer can't be kept: no space left on device"):
                await steps.run(base, "head -c 26000000 /dev/urandom > /big")
            await free(small)
            assert (await steps.run(base, "echo fine")).chain_id is not None
    finally:
        mounts.unmount(small, lazy=True)


async def free(directory: Path) -> None:
    """What is thrown away goes in the background."""
    async with asyncio.timeout(10):
        while os.statvfs(directory).f_bavail * os.statvfs(directory).f_frsize < 40 << 20:
            await asyncio.sleep(0.01)


VICTIM = """
import asyncio, sys
from pathlib import Path
from support.steps import Lab
from pierhead.build.execute.model import MountKind, RunStep, StepMount

async def main():
    lab = Lab(Path(sys.argv[1]), "br4rtest", "")
    await lab.start(recover=False)
    lab.client.secrets["s"] = b"s"
    step = RunStep(args=["/bin/sh", "-c", "echo up; sleep 1000"], mounts=[
        StepMount(kind=MountKind.SECRET, target="/s", id="s"),
        StepMount(kind=MountKind.CACHE, target="/c"),
    ])
    await lab.executor.run(sys.argv[2], step, lab.client, lambda *_: print("up", flush=True))

asyncio.run(main())
"""
