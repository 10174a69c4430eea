"""Networks as containers see them: addresses, names, ports, modes."""

from __future__ import annotations

import http.client
import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from support.command import Command
from support.http import Api

Unique = Callable[[str], str]
SLEEP = ("busybox", "sleep", "1000")
WEB = ("busybox", "sh", "-c", "mkdir /www; echo hello > /www/index.html; httpd -f -p 80 -h /www")
# busybox has no UDP server: this one is run by the host in the container's namespace
UDP_ECHO = """
import socket
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("0.0.0.0", 5353))
print("ready", flush=True)
server.sendto(*server.recvfrom(100))
"""


def address(cli: Command, name: str) -> str:
    return cli("inspect", "-f", "{{.NetworkSettings.IPAddress}}", name).out


def fetch(host: str, port: int, *, timeout_s: float = 10) -> str:
    """GET / until somebody answers."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            connection = http.client.HTTPConnection(host, port, timeout=2)
            connection.request("GET", "/")
            return connection.getresponse().read().decode()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def published(cli: Command, name: str, port: str) -> int:
    return int(cli("port", name, port).lines[0].rsplit(":", 1)[1])


class TestBridge:
    def test_an_address_of_its_own(self, cli: Command, name: str) -> None:
        cli("run", "-d", "--name", name, *SLEEP)
        seen = cli("exec", name, "ip", "-4", "addr", "show", "eth0").stdout
        assert address(cli, name) in seen
        assert "UP" in cli("exec", name, "ip", "link", "show", "eth0").stdout

    def test_a_default_route(self, docker: Command, name: str) -> None:
        docker("run", "-d", "--name", name, *SLEEP)
        gateway = docker("inspect", "-f", "{{.NetworkSettings.Gateway}}", name).out
        assert f"default via {gateway} dev eth0" in docker("exec", name, "ip", "route").stdout

    def test_containers_reach_each_other(self, docker: Command, name: str) -> None:
        docker("run", "-d", "--name", name, *WEB)
        time.sleep(0.2)
        done = docker("run", "--rm", "busybox", "wget", "-qO-", f"http://{address(docker, name)}/")
        assert done.stdout == "hello\n"

    def test_the_host_reaches_a_container(self, docker: Command, name: str) -> None:
        docker("run", "-d", "--name", name, *WEB)
        assert fetch(address(docker, name), 80) == "hello\n"

    def test_addresses_come_back(self, docker: Command) -> None:
        show = ("run", "--rm", "busybox", "sh", "-c", "hostname -i")
        assert len({docker(*show).out for _ in range(3)}) <= 3

    def test_hosts_file(self, cli: Command) -> None:
        done = cli(
            "run", "--rm", "-h", "box", "--add-host", "db:10.9.8.7", "busybox", "cat", "/etc/hosts"
        )
        assert "127.0.0.1\tlocalhost" in done.stdout
        assert "10.9.8.7\tdb" in done.stdout
        assert re.search(r"^[\d.]+\tbox$", done.stdout, re.M)

    def test_resolv_conf(self, cli: Command) -> None:
        done = cli(
            *("run", "--rm", "--dns", "10.1.2.3", "--dns-search", "example.com"),
            *("--dns-option", "ndots:3", "busybox", "cat", "/etc/resolv.conf"),
        )
        assert "nameserver 10.1.2.3" in done.stdout
        assert "search example.com" in done.stdout
        assert "options ndots:3" in done.stdout

    def test_mac_address(self, docker20: Command) -> None:
        done = docker20(
            *("run", "--rm", "--mac-address", "02:42:ac:11:00:99", "busybox"),
            *("cat", "/sys/class/net/eth0/address"),
        )
        assert done.out == "02:42:ac:11:00:99"

    def test_links(self, docker: Command, unique: Unique) -> None:
        server = unique("server")
        docker("run", "-d", "--name", server, *WEB)
        time.sleep(0.2)
        done = docker(
            "run", "--rm", "--link", f"{server}:web", "busybox", "wget", "-qO-", "http://web/"
        )
        assert done.stdout == "hello\n"

    def test_an_interface_is_gone_with_its_container(self, docker: Command, name: str) -> None:
        docker("run", "-d", "--name", name, *SLEEP)
        first = address(docker, name)
        docker("stop", "-t", "0", name)
        assert address(docker, name) == ""
        docker("start", name)
        assert address(docker, name).rsplit(".", 1)[0] == first.rsplit(".", 1)[0]


class TestPorts:
    def test_a_fixed_port(self, cli: Command, name: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        cli("run", "-d", "--name", name, "-p", f"{port}:80", *WEB)
        assert fetch("127.0.0.1", port) == "hello\n"
        assert f"0.0.0.0:{port}" in cli("port", name, "80/tcp").lines

    def test_a_random_port_on_loopback(self, cli: Command, name: str) -> None:
        cli("run", "-d", "--name", name, "-p", "127.0.0.1::80", *WEB)
        assert fetch("127.0.0.1", published(cli, name, "80")) == "hello\n"

    def test_loopback_only_means_it(self, docker: Command, name: str) -> None:
        docker("run", "-d", "--name", name, "-p", "127.0.0.1::80", *WEB)
        port = published(docker, name, "80")
        fetch("127.0.0.1", port)
        gateway = docker("inspect", "-f", "{{.NetworkSettings.Gateway}}", name).out
        with pytest.raises(OSError):
            fetch(gateway, port, timeout_s=0.2)

    def test_publish_all(self, docker: Command, name: str) -> None:
        docker("run", "-d", "--name", name, "-P", "--expose", "80", "--expose", "99/udp", *WEB)
        assert fetch("127.0.0.1", published(docker, name, "80/tcp")) == "hello\n"
        assert published(docker, name, "99/udp") > 0

    def test_a_range(self, docker: Command, api: Api, name: str) -> None:
        docker("run", "-d", "--name", name, "-p", "127.0.0.1:42180-42182:80-82", *WEB)
        assert fetch("127.0.0.1", 42180) == "hello\n"
        ports = api.get(f"/containers/{name}/json").json["NetworkSettings"]["Ports"]
        assert {k: v[0]["HostPort"] for k, v in ports.items()} == {
            "80/tcp": "42180",
            "81/tcp": "42181",
            "82/tcp": "42182",
        }

    def test_udp(self, docker: Command, name: str) -> None:
        docker("run", "-d", "--name", name, "-p", "127.0.0.1::5353/udp", *SLEEP)
        port = published(docker, name, "5353/udp")
        pid = docker("inspect", "-f", "{{.State.Pid}}", name).out
        server = subprocess.Popen(
            ["nsenter", f"--net=/proc/{pid}/ns/net", sys.executable, "-c", UDP_ECHO],
            stdout=subprocess.PIPE,
        )
        assert server.stdout is not None and server.stdout.readline() == b"ready\n"
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
                client.settimeout(3)
                client.connect(("127.0.0.1", port))
                client.send(b"ping\n")
                assert client.recv(100) == b"ping\n"
        finally:
            server.kill()
            server.communicate()

    def test_from_a_container_by_the_hosts_address(self, docker: Command, name: str) -> None:
        """Hairpin: through the published port of the host and back to the bridge."""
        docker("run", "-d", "--name", name, "-p", "80", *WEB)
        port = published(docker, name, "80")
        gateway = docker("inspect", "-f", "{{.NetworkSettings.Gateway}}", name).out
        fetch("127.0.0.1", port)
        done = docker(
            "run", "--rm", "busybox", "timeout", "5", "wget", "-qO-", f"http://{gateway}:{port}/"
        )
        assert done.stdout == "hello\n"

    def test_taken_by_another_container(self, cli: Command, unique: Unique) -> None:
        first, second = unique("first"), unique("second")
        cli("run", "-d", "--name", first, "-p", "127.0.0.1:42190:80", *SLEEP)
        done = cli.fails(
            "run", "-d", "--name", second, "-p", "127.0.0.1:42190:80", *SLEEP, code=125
        )
        done.says("Bind for 127.0.0.1:42190 failed: port is already allocated")
        assert cli("inspect", "-f", "{{.State.Status}}", second).out == "created"
        cli("rm", "-f", first)
        cli("start", second)

    def test_taken_by_a_program(self, docker: Command, name: str) -> None:
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            port = other.getsockname()[1]
            done = docker.fails(
                *("run", "-d", "--name", name, "-p", f"127.0.0.1:{port}:80", *SLEEP), code=125
            )
        done.says("address already in use")

    def test_a_port_is_free_after_the_stop(self, docker: Command, name: str) -> None:
        docker("run", "-d", "--name", name, "-p", "127.0.0.1:42191:80", *WEB)
        fetch("127.0.0.1", 42191)
        docker("stop", "-t", "0", name)
        with socket.socket() as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            other.bind(("127.0.0.1", 42191))
        docker("start", name)
        assert fetch("127.0.0.1", 42191) == "hello\n"

    @pytest.mark.parametrize("bad", ["80000:80", "a:80", "80:80:80:80", "80:80/ftp", "1-3:1-2"])
    def test_bad_ports(self, cli: Command, bad: str) -> None:
        assert cli.fails("run", "-p", bad, "busybox", "true", code=125).stderr


class TestModes:
    def test_none(self, cli: Command) -> None:
        done = cli("run", "--rm", "--network", "none", "busybox", "ls", "/sys/class/net")
        assert done.out.split() == ["lo"]

    def test_host(self, cli: Command) -> None:
        done = cli("run", "--rm", "--network", "host", "busybox", "hostname")
        assert done.out == socket.gethostname()

    def test_host_sees_the_hosts_interfaces(self, docker: Command) -> None:
        mine = {name for _, name in socket.if_nameindex()}
        done = docker("run", "--rm", "--network", "host", "busybox", "ls", "/sys/class/net")
        assert {"lo"} <= set(done.out.split()) & mine

    def test_another_container(self, cli: Command, name: str) -> None:
        cli("run", "-d", "--name", name, *WEB)
        time.sleep(0.2)
        done = cli(
            *("run", "--rm", "--network", f"container:{name}", "busybox"),
            *("wget", "-qO-", "http://127.0.0.1/"),
        )
        assert done.stdout == "hello\n"

    def test_another_container_that_does_not_run(self, docker: Command, name: str) -> None:
        docker("create", "--name", name, *SLEEP)
        docker.fails("run", "--rm", "--network", f"container:{name}", "busybox", "true").says(
            "cannot join network of a non running container"
        )

    def test_another_container_and_ports_conflict(self, docker: Command, name: str) -> None:
        docker("run", "-d", "--name", name, *SLEEP)
        docker.fails(
            "run", "--network", f"container:{name}", "-p", "80:80", "busybox", "true"
        ).says("conflicting options: port publishing and the container type network mode")

    def test_unknown(self, cli: Command, name: str) -> None:
        done = cli.fails(
            "run", "--name", name, "--network", "no-such-net", "busybox", "true", code=125
        )
        done.says("network no-such-net not found")


class TestNetworks:
    def test_predefined(self, cli: Command) -> None:
        names = cli("network", "ls", "--format", "{{.Name}} {{.Driver}} {{.Scope}}").lines
        assert {"bridge bridge local", "host host local", "none null local"} <= set(names)
        cli.fails("network", "rm", "bridge").says("is a pre-defined network and cannot be removed")

    def test_create_inspect_remove(self, cli: Command, unique: Unique) -> None:
        net = unique("net")
        full = cli("network", "create", "--label", "a=b", "--subnet", "10.213.7.0/24", net).out
        got = json.loads(cli("network", "inspect", net).stdout)[0]
        assert (got["Id"], got["Driver"], got["Labels"]) == (full, "bridge", {"a": "b"})
        assert got["IPAM"]["Config"][0]["Subnet"] == "10.213.7.0/24"
        assert cli("network", "ls", "-q", "--no-trunc", "-f", "label=a=b").out == full
        assert cli("network", "rm", net).out == net
        cli.fails("network", "inspect", net, code=1).says(
            "not found" if cli.name[6:] > "24" else net
        )

    def test_a_user_network(self, cli: Command, unique: Unique) -> None:
        net, web = unique("net"), unique("web")
        cli("network", "create", "--subnet", "10.213.8.0/24", net)
        cli("run", "-d", "--name", web, "--network", net, "--ip", "10.213.8.77", *WEB)
        time.sleep(0.2)
        done = cli(
            "run", "--rm", "--network", net, "busybox", "wget", "-qO-", "http://10.213.8.77/"
        )
        assert done.stdout == "hello\n"
        got = json.loads(cli("network", "inspect", net).stdout)[0]["Containers"]
        assert [(c["Name"], c["IPv4Address"]) for c in got.values()] == [(web, "10.213.8.77/24")]
        cli.fails("network", "rm", net).says("has active endpoints")

    def test_names_resolve_on_a_user_network(self, docker: Command, unique: Unique) -> None:
        net, web = unique("net"), unique("web")
        docker("network", "create", net)
        docker("run", "-d", "--name", web, "--network", net, "--network-alias", "alias", *WEB)
        time.sleep(0.2)
        for host in (web, "alias"):
            done = docker(
                "run", "--rm", "--network", net, "busybox", "wget", "-qO-", f"http://{host}/"
            )
            assert done.stdout == "hello\n"

    def test_networks_are_apart(self, docker: Command, name: str, unique: Unique) -> None:
        net = unique("net")
        docker("network", "create", net)
        docker("run", "-d", "--name", name, *WEB)
        docker.fails(
            *("run", "--rm", "--network", net, "busybox"),
            *("sh", "-c", f"timeout 1 wget -qO- http://{address(docker, name)}/ && exit 0; exit 1"),
        )

    def test_connect_and_disconnect(self, cli: Command, name: str, unique: Unique) -> None:
        net = unique("net")
        cli("network", "create", "--subnet", "10.213.9.0/24", net)
        cli("run", "-d", "--name", name, *SLEEP)
        cli("network", "connect", "--ip", "10.213.9.5", net, name)
        assert "10.213.9.5" in cli("exec", name, "ip", "addr").stdout
        cli("network", "disconnect", net, name)
        assert "10.213.9.5" not in cli("exec", name, "ip", "addr").stdout

    def test_name_conflict(self, cli: Command, unique: Unique) -> None:
        net = unique("net")
        cli("network", "create", net)
        cli.fails("network", "create", net, code=1).says(f"network with name {net} already exists")

    def test_overlap(self, docker: Command, unique: Unique) -> None:
        docker("network", "create", "--subnet", "10.213.10.0/24", unique("net"))
        docker.fails("network", "create", "--subnet", "10.213.10.0/25", unique("net")).says(
            "overlap"
        )

    def test_prune(self, cli: Command, unique: Unique) -> None:
        net = unique("net")
        cli("network", "create", net)
        assert net in cli("network", "prune", "-f").stdout
        assert net not in cli("network", "ls").stdout


class TestLegacyLinks:
    """``--link`` on the default bridge; validated against dockerd 20.10."""

    def test_names_variables_and_taking_it_away(self, cli: Command, unique: Unique) -> None:
        db, app = unique("db"), unique("app")
        cli("run", "-d", "--name", db, "--expose", "5432", "-e", "PW=x", *SLEEP)
        cli("run", "-d", "--name", app, "--link", f"{db}:data-base", *SLEEP)
        where = cli("inspect", "-f", "{{.NetworkSettings.Networks.bridge.IPAddress}}", db).out
        env = cli("exec", app, "env").lines
        assert f"DATA_BASE_PORT=tcp://{where}:5432" in env
        assert "DATA_BASE_ENV_PW=x" in env and f"DATA_BASE_NAME=/{app}/data-base" in env
        assert f"{where}\tdata-base" in cli("exec", app, "cat", "/etc/hosts").stdout
        listed = cli("ps", "--no-trunc", "--filter", f"name={db}", "--format", "{{.Names}}").out
        assert sorted(listed.split(",")) == sorted([db, f"{app}/data-base"])
        assert cli("inspect", "-f", "{{.Name}}", f"{app}/data-base").out == f"/{db}"
        cli("rm", "--link", f"{app}/data-base")
        assert cli("ps", "--no-trunc", "--filter", f"name={db}", "--format", "{{.Names}}").out == db
        assert "data-base" not in cli("exec", app, "cat", "/etc/hosts").stdout
        cli.fails("inspect", f"{app}/data-base", code=1)
