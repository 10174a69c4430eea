"""``docker run`` as people type it: output, exit status, streams, options that show inside."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from support.command import Command
from support.http import Api

Unique = Callable[[str], str]


class TestOutputAndStatus:
    def test_prints_what_the_command_prints(self, cli: Command) -> None:
        assert cli("run", "--rm", "busybox", "echo", "hello world").stdout == "hello world\n"

    def test_keeps_the_streams_apart(self, cli: Command) -> None:
        done = cli("run", "--rm", "busybox", "sh", "-c", "echo out; echo err >&2")
        assert (done.stdout, done.stderr) == ("out\n", "err\n")

    @pytest.mark.parametrize("status", [0, 1, 3, 42, 255])
    def test_exits_with_the_commands_status(self, docker: Command, status: int) -> None:
        done = docker("run", "--rm", "busybox", "sh", "-c", f"exit {status}", check=False)
        assert done.returncode == status

    def test_exit_status_reaches_the_shell(self, cli: Command) -> None:
        assert cli.fails("run", "--rm", "busybox", "sh", "-c", "exit 7").returncode == 7

    def test_killed_by_a_signal_is_128_and_more(self, docker: Command) -> None:
        docker.fails("run", "--rm", "--init", "busybox", "sh", "-c", "kill -9 $$", code=137)

    def test_command_not_found_is_127(self, cli: Command, name: str) -> None:
        done = cli.fails("run", "--name", name, "busybox", "no-such-command", code=127)
        assert "executable file not found in $PATH" in done.stderr
        # created, never started: it stays, as docker leaves it
        assert (
            cli("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", name).out == "created 127"
        )

    def test_not_executable_is_126(self, cli: Command) -> None:
        done = cli.fails("run", "--rm", "busybox", "/etc/passwd", code=126)
        assert "permission denied" in done.stderr

    def test_a_directory_is_126(self, docker: Command) -> None:
        docker.fails("run", "--rm", "busybox", "/etc", code=126)

    def test_client_errors_are_125(self, cli: Command) -> None:
        done = cli.fails("run", "--rm", "--no-such-flag", "busybox", code=125)
        assert "unknown flag: --no-such-flag" in done.stderr

    def test_no_image_given(self, cli: Command) -> None:
        done = cli.fails("run")
        assert "requires at least 1 argument" in done.stderr

    def test_large_output_arrives_whole(self, cli: Command) -> None:
        done = cli("run", "--rm", "busybox", "sh", "-c", "seq 1 200000")
        assert len(done.lines) == 200_000
        assert done.lines[-1] == "200000"

    def test_binary_output_is_not_touched(self, docker: Command) -> None:
        done = docker("run", "--rm", "busybox", "sh", "-c", "printf '\\000\\001\\377\\r\\n\\033'")
        assert done.stdout_bytes == b"\x00\x01\xff\r\n\x1b"

    def test_output_without_a_last_newline(self, cli: Command) -> None:
        assert cli("run", "--rm", "busybox", "printf", "no newline").stdout == "no newline"


class TestStdin:
    def test_stdin_goes_in_and_its_end_too(self, cli: Command) -> None:
        assert cli("run", "--rm", "-i", "busybox", "cat", input="typed\n").stdout == "typed\n"

    def test_without_i_stdin_is_empty(self, cli: Command) -> None:
        assert cli("run", "--rm", "busybox", "cat", input="unseen").stdout == ""

    def test_a_megabyte_there_and_back(self, cli: Command) -> None:
        data = bytes(range(256)) * 4096
        assert cli("run", "--rm", "-i", "busybox", "cat", input=data).stdout_bytes == data

    def test_output_after_stdin_has_ended(self, cli: Command) -> None:
        done = cli(
            "run", "--rm", "-i", "busybox", "sh", "-c", "wc -c; sleep 0.3; echo later", input="abc"
        )
        assert done.stdout.split() == ["3", "later"]

    def test_the_command_may_end_before_its_stdin(self, docker: Command) -> None:
        done = docker("run", "--rm", "-i", "busybox", "true", input=b"x" * 300_000)
        assert done.returncode == 0


class TestEnvironment:
    def test_env(self, cli: Command) -> None:
        done = cli(
            "run", "--rm", "-e", "A=1", "--env", "B=two words", "busybox", "sh", "-c", "echo $A $B"
        )
        assert done.out == "1 two words"

    def test_env_from_the_client(self, cli: Command) -> None:
        done = cli(
            "run",
            "--rm",
            "-e",
            "FROM_CLIENT",
            "busybox",
            "sh",
            "-c",
            "echo $FROM_CLIENT",
            env={"FROM_CLIENT": "yes"},
        )
        assert done.out == "yes"

    def test_env_file(self, cli: Command, tmp_path: Path) -> None:
        file = tmp_path / "env"
        file.write_text("# comment\n\nONE=1\nTWO=a=b\n")
        done = cli("run", "--rm", "--env-file", str(file), "busybox", "sh", "-c", "echo $ONE $TWO")
        assert done.out == "1 a=b"

    def test_defaults(self, docker: Command) -> None:
        done = docker("run", "--rm", "--hostname", "box", "busybox", "env")
        env = dict(line.split("=", 1) for line in done.lines)
        assert env["PATH"] == "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        assert (env["HOME"], env["HOSTNAME"]) == ("/root", "box")
        assert "TERM" not in env

    def test_term_with_a_terminal(self, docker: Command) -> None:
        assert docker("run", "--rm", "-t", "busybox", "sh", "-c", "echo $TERM").out == "xterm"

    def test_workdir_is_made(self, cli: Command) -> None:
        assert cli("run", "--rm", "-w", "/made/for/this", "busybox", "pwd").out == "/made/for/this"

    def test_workdir_must_be_absolute(self, docker: Command) -> None:
        done = docker.fails("run", "--rm", "-w", "relative", "busybox", "pwd", code=125)
        assert "is invalid, it needs to be an absolute path" in done.stderr

    def test_entrypoint(self, cli: Command) -> None:
        assert cli("run", "--rm", "--entrypoint", "echo", "busybox", "a", "b").out == "a b"

    def test_hostname(self, cli: Command) -> None:
        done = cli(
            "run", "--rm", "-h", "seaside", "busybox", "sh", "-c", "hostname; cat /etc/hostname"
        )
        assert done.lines == ["seaside", "seaside"]

    def test_hostname_is_the_short_id(self, docker: Command, name: str) -> None:
        done = docker("run", "--name", name, "busybox", "hostname")
        full = docker("inspect", "-f", "{{.Id}}", name).out
        assert done.out == full[:12]


class TestUser:
    @pytest.mark.parametrize(
        ("given", "seen"),
        [
            ("nobody", "uid=65534"),
            ("65534", "uid=65534"),
            ("1234", "uid=1234 gid=0"),
            ("1234:5678", "uid=1234 gid=5678"),
            ("root", "uid=0"),
        ],
    )
    def test_user(self, docker: Command, given: str, seen: str) -> None:
        done = docker("run", "--rm", "-u", given, "busybox", "id")
        assert seen in re.sub(r"\(\w+\)", "", done.out)

    def test_unknown_user(self, cli: Command) -> None:
        done = cli.fails("run", "--rm", "-u", "captain", "busybox", "id")
        assert "unable to find user captain: no matching entries in passwd file" in done.stderr

    def test_unknown_group(self, docker: Command) -> None:
        done = docker.fails("run", "--rm", "-u", "root:crew", "busybox", "id")
        assert "unable to find group crew: no matching entries in group file" in done.stderr

    def test_group_add(self, cli: Command) -> None:
        done = cli("run", "--rm", "--group-add", "777", "busybox", "id", "-G")
        assert "777" in done.out.split()


class TestIsolation:
    def test_pid_1(self, cli: Command) -> None:
        assert cli("run", "--rm", "busybox", "sh", "-c", "echo $$").out == "1"

    def test_init_reaps(self, cli: Command) -> None:
        done = cli("run", "--rm", "--init", "busybox", "sh", "-c", "echo $$; ps")
        assert int(done.lines[0]) > 1
        assert "init" in done.stdout

    def test_default_capabilities(self, docker: Command) -> None:
        done = docker("run", "--rm", "busybox", "grep", "CapEff", "/proc/self/status")
        assert done.out.split()[1] == "00000000a80425fb"

    def test_cap_add_and_drop(self, cli: Command) -> None:
        done = cli(
            "run",
            "--rm",
            "--cap-drop",
            "ALL",
            "--cap-add",
            "NET_ADMIN",
            "busybox",
            "grep",
            "CapEff",
            "/proc/self/status",
        )
        assert done.out.split()[1] == "0000000000001000"

    def test_privileged(self, docker: Command) -> None:
        done = docker(
            "run",
            "--rm",
            "--privileged",
            "busybox",
            "grep",
            "-E",
            "CapEff|Seccomp:",
            "/proc/self/status",
        )
        assert int(done.lines[0].split()[1], 16) > 0xA80425FB
        assert done.lines[1].split()[1] == "0"

    def test_seccomp_is_on(self, docker: Command) -> None:
        done = docker("run", "--rm", "busybox", "grep", "Seccomp:", "/proc/self/status")
        assert done.out.split()[1] == "2"
        docker.fails("run", "--rm", "busybox", "unshare", "-U", "true")

    def test_seccomp_unconfined(self, docker: Command) -> None:
        done = docker(
            "run",
            "--rm",
            "--security-opt",
            "seccomp=unconfined",
            "busybox",
            "grep",
            "Seccomp:",
            "/proc/self/status",
        )
        assert done.out.split()[1] == "0"

    def test_no_new_privileges(self, docker: Command) -> None:
        done = docker(
            "run",
            "--rm",
            "--security-opt",
            "no-new-privileges",
            "busybox",
            "grep",
            "NoNewPrivs",
            "/proc/self/status",
        )
        assert done.out.split()[1] == "1"

    def test_masked_and_read_only_paths(self, docker: Command) -> None:
        done = docker(
            "run",
            "--rm",
            "busybox",
            "sh",
            "-c",
            "cat /proc/kcore | wc -c; ls /proc/acpi /sys/firmware | grep -v : | wc -w; "
            "echo 1 > /proc/sys/kernel/printk || echo ro",
        )
        assert done.lines[0] == "0"
        assert done.lines[-1] == "ro"

    def test_read_only_root(self, cli: Command) -> None:
        done = cli.fails("run", "--rm", "--read-only", "busybox", "touch", "/file")
        assert "Read-only file system" in done.stderr

    def test_read_only_root_has_a_writable_tmpfs(self, cli: Command) -> None:
        cli(
            "run", "--rm", "--read-only", "--tmpfs", "/run:size=1m", "busybox", "touch", "/run/file"
        )

    def test_device(self, docker: Command) -> None:
        done = docker(
            "run",
            "--rm",
            "--device",
            "/dev/null:/dev/mine",
            "busybox",
            "sh",
            "-c",
            "test -c /dev/mine && echo x > /dev/mine && echo ok",
        )
        assert done.out == "ok"

    def test_sysctl(self, docker: Command) -> None:
        done = docker(
            "run",
            "--rm",
            "--sysctl",
            "net.ipv4.ip_forward=1",
            "busybox",
            "cat",
            "/proc/sys/net/ipv4/ip_forward",
        )
        assert done.out == "1"

    def test_shm_size(self, cli: Command) -> None:
        done = cli("run", "--rm", "--shm-size", "32m", "busybox", "df", "-k", "/dev/shm")
        assert done.lines[-1].split()[1] == "32768"

    def test_pid_host(self, docker: Command) -> None:
        done = docker("run", "--rm", "--pid", "host", "busybox", "sh", "-c", "echo $$")
        assert int(done.out) > 1

    def test_pid_of_a_container(self, docker: Command, name: str) -> None:
        docker("run", "-d", "--name", name, "busybox", "sleep", "1234")
        assert (
            "sleep 1234"
            in docker("run", "--rm", "--pid", f"container:{name}", "busybox", "ps").stdout
        )

    def test_ipc_of_a_container(self, docker: Command, name: str) -> None:
        docker(
            "run",
            "-d",
            "--name",
            name,
            "--ipc",
            "shareable",
            "busybox",
            "sh",
            "-c",
            "echo shared > /dev/shm/note; sleep 1234",
        )
        time.sleep(0.2)
        done = docker(
            "run", "--rm", "--ipc", f"container:{name}", "busybox", "cat", "/dev/shm/note"
        )
        assert done.out == "shared"

    def test_uts_host(self, docker: Command) -> None:
        import socket

        assert (
            docker("run", "--rm", "--uts", "host", "busybox", "hostname").out
            == socket.gethostname()
        )


class TestLimits:
    def test_memory(self, cli: Command, api: Api, name: str) -> None:
        cli("run", "-d", "--name", name, "-m", "64m", "busybox", "sleep", "1000")
        host = api.get(f"/containers/{name}/json").json["HostConfig"]
        assert host["Memory"] == 64 << 20
        done = cli(
            "exec",
            name,
            "sh",
            "-c",
            "cd /sys/fs/cgroup; cat memory/memory.limit_in_bytes 2>/dev/null || cat memory.max",
        )
        assert done.out == str(64 << 20)

    def test_out_of_memory_is_reported(self, docker: Command, name: str) -> None:
        docker.fails(
            "run",
            "--name",
            name,
            "-m",
            "16m",
            "--memory-swap",
            "16m",
            "busybox",
            "sh",
            "-c",
            "tail /dev/zero",
            code=137,
        )
        assert docker("inspect", "-f", "{{.State.OOMKilled}}", name).out == "true"

    def test_cpus_and_pids(self, docker: Command, api: Api, name: str) -> None:
        docker(
            "run",
            "-d",
            "--name",
            name,
            "--cpus",
            "0.5",
            "--pids-limit",
            "77",
            "busybox",
            "sleep",
            "1000",
        )
        host = api.get(f"/containers/{name}/json").json["HostConfig"]
        assert (host["NanoCpus"], host["PidsLimit"]) == (500_000_000, 77)
        done = docker(
            "exec",
            name,
            "sh",
            "-c",
            "cat /sys/fs/cgroup/pids/pids.max 2>/dev/null || cat /sys/fs/cgroup/pids.max",
        )
        assert done.out == "77"

    def test_ulimit(self, cli: Command) -> None:
        done = cli(
            "run",
            "--rm",
            "--ulimit",
            "nofile=123:456",
            "busybox",
            "sh",
            "-c",
            "ulimit -n; ulimit -Hn",
        )
        assert done.lines == ["123", "456"]

    def test_memory_too_small(self, cli: Command) -> None:
        done = cli.fails("run", "--rm", "-m", "1m", "busybox", "true", code=125)
        assert "Minimum memory limit allowed is 6MB" in done.stderr


class TestDetachedAndFiles:
    def test_detached_prints_the_id(self, cli: Command) -> None:
        done = cli("run", "-d", "busybox", "sleep", "1000")
        assert re.fullmatch(r"[0-9a-f]{64}", done.out)

    def test_rm_removes(self, cli: Command, name: str) -> None:
        cli("run", "--rm", "--name", name, "busybox", "true")
        assert name not in cli("ps", "-a", "--format", "{{.Names}}").lines

    def test_rm_of_a_detached_container(self, docker: Command, name: str) -> None:
        docker("run", "-d", "--rm", "--name", name, "busybox", "true")
        for _ in range(50):
            if name not in docker("ps", "-a", "--format", "{{.Names}}").lines:
                return
            time.sleep(0.1)
        raise AssertionError("still there")

    def test_rm_and_restart_conflict(self, docker: Command) -> None:
        done = docker.fails("run", "--rm", "--restart", "always", "busybox", "true", code=125)
        assert "--restart and --rm" in done.stderr

    def test_cidfile(self, cli: Command, tmp_path: Path) -> None:
        file = tmp_path / "cid"
        done = cli("run", "-d", "--cidfile", str(file), "busybox", "sleep", "1000")
        assert file.read_text() == done.out
        again = cli.fails("run", "-d", "--cidfile", str(file), "busybox", "true", code=125)
        assert "container ID file found" in again.stderr.lower().replace("id file", "ID file")

    def test_name_conflict(self, cli: Command, name: str) -> None:
        first = cli("run", "-d", "--name", name, "busybox", "sleep", "1000").out
        done = cli.fails("run", "-d", "--name", name, "busybox", "true", code=125)
        assert (
            f'The container name "/{name}" is already in use by container "{first}"' in done.stderr
        )
        assert (
            "You have to remove (or rename) that container to be able to reuse that name."
            in done.stderr
        )

    def test_labels(self, cli: Command, name: str, tmp_path: Path) -> None:
        file = tmp_path / "labels"
        file.write_text("c=3\n")
        cli(
            "run",
            "--name",
            name,
            "-l",
            "a=1",
            "--label",
            "b",
            "--label-file",
            str(file),
            "busybox",
            "true",
        )
        labels = json.loads(cli("inspect", "-f", "{{json .Config.Labels}}", name).out)
        assert labels == {"a": "1", "b": "", "c": "3"}

    def test_missing_image(self, cli: Command) -> None:
        done = cli.fails("run", "--pull", "never", "no-such-image:tag", "true", code=125)
        assert "No such image: no-such-image:tag" in done.stderr

    def test_bad_reference(self, cli: Command) -> None:
        done = cli.fails("run", "--pull", "never", "UPPER/Case", "true", code=125)
        assert "invalid reference format: repository name" in done.stderr
        assert "must be lowercase" in done.stderr

    def test_generated_name(self, docker: Command) -> None:
        done = docker("run", "-d", "busybox", "sleep", "1000")
        assert re.fullmatch(
            r"/[a-z]+_[a-z]+\d?", docker("inspect", "-f", "{{.Name}}", done.out).out
        )

    def test_image_by_id_and_prefix(self, docker: Command) -> None:
        image = docker("image", "inspect", "-f", "{{.Id}}", "busybox").out
        assert docker("run", "--rm", image, "echo", "a").out == "a"
        assert docker("run", "--rm", image.removeprefix("sha256:")[:12], "echo", "b").out == "b"


class TestInside:
    """The machine that a program in a container finds."""

    def test_usual_files(self, docker: Command) -> None:
        done = docker(
            "run",
            "--rm",
            "busybox",
            "sh",
            "-c",
            "cd /etc; ls -d /.dockerenv hosts resolv.conf hostname mtab /dev/shm /dev/pts",
        )
        assert len(done.lines) == 7, done

    def test_usual_devices(self, docker: Command) -> None:
        done = docker(
            "run",
            "--rm",
            "busybox",
            "sh",
            "-c",
            "for d in null zero full random urandom tty; do test -c /dev/$d || echo no $d; done; "
            "for d in stdin fd ptmx; do readlink /dev/$d; done",
        )
        assert done.lines == ["/proc/self/fd/0", "/proc/self/fd", "pts/ptmx"]

    def test_nothing_shows_in_diff(self, cli: Command, name: str) -> None:
        cli("run", "--name", name, "busybox", "true")
        assert cli("diff", name).stdout == ""

    def test_diff(self, cli: Command, name: str) -> None:
        cli(
            "run",
            "--name",
            name,
            "busybox",
            "sh",
            "-c",
            "echo > /etc/new; rm /etc/group; echo >> /etc/passwd",
        )
        assert sorted(cli("diff", name).lines) == [
            "A /etc/new",
            "C /etc",
            "C /etc/passwd",
            "D /etc/group",
        ]

    def test_clean_file_descriptors(self, docker: Command) -> None:
        done = docker(
            "run", "--rm", "busybox", "sh", "-c", "ls /proc/1/fd | sort -n | tr '\\n' ' '"
        )
        assert done.out.split()[:3] == ["0", "1", "2"]
        assert max(int(fd) for fd in done.out.split()) <= 10

    def test_runs_debian(self, docker: Command, debian: str) -> None:
        done = docker(
            "run",
            "--rm",
            debian,
            "sh",
            "-c",
            ". /etc/os-release; echo $VERSION_CODENAME; perl -e 'print 6*7'",
        )
        assert done.stdout == "bookworm\n42"
