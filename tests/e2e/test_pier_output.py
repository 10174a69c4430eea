"""``pier`` beside the stock ``docker``: what they print about the same objects."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.command import Command
from support.side_by_side import SideBySide

pytestmark = pytest.mark.root

#: Ages, which may tick between the two commands, and a field that came with docker 29.
AGES = (
    r"(Less than a second|About an? \w+|\d+ \w+) ago"
    r"|(?<=Up )(\d+ \w+|\w+ an? \w+|Less \w+ a \w+)"
    r'|"HealthStatus":"\w*",'
)
IMAGE = "pier-output:1"
CONTAINER = "pier-output"
STOPPED = "pier-output-stopped"
NETWORK = "pier-output-net"
VOLUME = "pier-output-vol"


@pytest.fixture(scope="module")
def both(docker: Command, pier: Command, busybox: str) -> SideBySide:
    return SideBySide(docker, pier)


@pytest.fixture(autouse=True)
def objects(docker: Command, busybox: str) -> Iterator[None]:
    """Objects with something in every column; made for each test, since they are tidied."""
    docker("tag", busybox, IMAGE)
    docker("network", "create", "--label", "a=1", NETWORK)
    docker("volume", "create", "--label", "b=<2>", VOLUME)
    docker(
        *("create", "--name", STOPPED, "--label", "z=9", "--label", "c=3", "-e", "X=<&>"),
        *("-v", f"{VOLUME}:/data:ro", "-p", "127.0.0.1:0:80", "--expose", "90-91/udp"),
        *("--memory", "64m", "--health-cmd", "true", "--health-interval", "90s"),
        *(IMAGE, "sh", "-c", "echo a rather long command line; sleep 9"),
    )
    docker("run", "-d", "--name", CONTAINER, "--network", NETWORK, IMAGE, "sleep", "1000")
    yield
    docker("rm", "-fv", STOPPED, CONTAINER)
    docker("rmi", IMAGE)


LISTS = [
    "images",
    "images -a --no-trunc",
    "images -q",
    "images --digests",
    "images --format json",
    "images --format raw",
    "images -q --format raw",
    "images -f dangling=true",
    "images -f reference=pier-output:*",
    "images pier-output",
    "images --format '{{.Repository | upper}}:{{.Tag}}'",
    "images --format 'table {{.ID}}\\t{{.Repository}}'",
    "images --format '{{json .}}'",
    "images ls",
    "image ls",
    "image list pier-output:1",
    "history pier-output:1",
    "history --no-trunc -H=false pier-output:1",
    "history --format json pier-output:1",
    "history -q pier-output:1",
    "ps",
    "ps -a",
    "ps -aq",
    "ps -aq --no-trunc",
    "ps -a --no-trunc",
    "ps -as",
    "ps -a --format json",
    "ps -a --format '{{.Names}} {{.Label \"z\"}} {{.Mounts}} {{.Networks}} {{.LocalVolumes}}'",
    "ps -a --format 'table {{.ID}}\\t{{.Command}}\\t{{.Ports}}'",
    "ps -a --format '{{json .Labels}}'",
    "ps -a --format raw",
    "ps -a -f name=stopped",
    "ps -l",
    "ps -n 1",
    "container ls -a -f status=created",
    "network ls",
    "network ls --no-trunc",
    "network ls -q",
    "network ls --format json",
    "network ls --format raw",
    "network ls --format '{{.Name}} {{.Label \"a\"}} {{.IPv4}} {{.Internal}} {{.CreatedAt}}'",
    "network ls -f driver=bridge",
    "volume ls",
    "volume ls -q",
    "volume ls --format json",
    "volume ls --format raw",
    "volume ls --format 'table {{.Name}}\\t{{.Label \"b\"}}\\t{{.Mountpoint}}'",
    "volume ls -f dangling=false",
    "system df",
    "system df --format json",
    "system df --format raw",
    "system df --format '{{.Type}} {{.TotalCount}} {{.Active}}'",
    "context ls",
    "context ls --format json",
    "context ls -q",
    "context show",
    "context inspect",
    "port pier-output-stopped",
    "port pier-output",
    "top pier-output -o pid,comm",
    "diff pier-output",
]


@pytest.mark.parametrize("line", LISTS)
def test_lists(both: SideBySide, line: str) -> None:
    both.same(*shlex.split(line), ignore=AGES, unordered=True)


INSPECTS = [
    "inspect pier-output-stopped",
    "inspect pier-output",
    "inspect --type container pier-output-stopped",
    "inspect -s pier-output-stopped",
    "container inspect pier-output-stopped",
    "image inspect pier-output:1",
    "inspect pier-output:1",
    "inspect --type image pier-output:1",
    "network inspect pier-output-net",
    "inspect pier-output-net",
    "inspect --type network pier-output-net",
    "network inspect bridge host none",
    "volume inspect pier-output-vol",
    "inspect --type volume pier-output-vol",
    "inspect pier-output-vol",
    "inspect -f json pier-output-stopped",
    "image inspect -f json pier-output:1",
]


@pytest.mark.parametrize("line", INSPECTS)
def test_inspect(both: SideBySide, line: str) -> None:
    both.same(*shlex.split(line))


TEMPLATES = [
    "{{.Id}}",
    "{{.ID}}",
    "{{.Name}} {{.State.Status}} {{.State.Pid}} {{.RestartCount}}",
    "{{json .Config}}",
    "{{json .HostConfig}}",
    "{{json .State}}",
    "{{json .NetworkSettings}}",
    "{{json .Mounts}}",
    "{{json .}}",
    "{{.Config.Env}} {{.Config.Cmd}} {{.Config.Labels}}",
    "{{.Config.Healthcheck}} {{.Config.Healthcheck.Interval}}",
    "{{.HostConfig.Memory}} {{.HostConfig.PidsLimit}} {{.HostConfig.Init}}",
    "{{.HostConfig.PortBindings}}",
    "{{.HostConfig.RestartPolicy}} {{.HostConfig.LogConfig}} {{.HostConfig.NetworkMode}}",
    '{{(index (index .HostConfig.PortBindings "80/tcp") 0).HostIp}}',
    '{{(index (index .HostConfig.PortBindings "80/tcp") 0).HostIP}}',
    "{{range .Mounts}}{{.Type}} {{.Name}} {{.Destination}} {{.RW}}{{end}}",
    "{{range $k, $v := .NetworkSettings.Networks}}{{$k}} {{$v.NetworkID}}{{end}}",
    '{{index .Config.Labels "z"}} {{.Config.Labels.c}}',
    '{{join .Config.Env ","}} {{len .Config.Env}}',
    '{{printf "%s|%10.3s|%q" .Name .Id .Path}}',
    "{{if .State.Running}}up{{else}}down{{end}}",
    "{{with .State.Health}}{{.Status}}{{end}}",
    "{{.State.Health.Status}}",
    "{{.Created}} {{.Driver}} {{.Platform}} {{.Args}}",
    "{{.GraphDriver.Name}}",
    "{{upper .Name}} {{lower .Id}} {{title .Path}}",
    "{{.Nope}}",
    "{{.Config.Nope}}",
    "{{.State.Pid.Nope}}",
    "{{.Id",
    "{{nofunc .Id}}",
    "{{range .Id}}{{end}}",
    "{{.HostConfig.Nope.Deeper}}",
    "{{index .Mounts 9}}",
    "plain",
    "",
]


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("name", [CONTAINER, STOPPED])
def test_templates(both: SideBySide, name: str, template: str) -> None:
    both.same("inspect", "-f", template, name, ignore=r"0xc[0-9a-f]+")


OTHERS = [
    ("image inspect", IMAGE, "{{.Id}} {{.ID}}"),
    ("image inspect", IMAGE, "{{.RepoTags}} {{.Size}} {{.Architecture}}/{{.Os}} {{.Created}}"),
    ("image inspect", IMAGE, "{{json .Config}}"),
    ("image inspect", IMAGE, "{{.Config}}"),
    ("image inspect", IMAGE, "{{json .RootFS}} {{.RootFS}}"),
    ("image inspect", IMAGE, "{{.Config.Cmd}} {{.Config.Env}}"),
    ("image inspect", IMAGE, "{{json .}}"),
    ("image inspect", IMAGE, "{{.Nope}}"),
    ("network inspect", NETWORK, "{{.Name}} {{.ID}} {{.Created}} {{.Labels}} {{.EnableIPv6}}"),
    ("network inspect", NETWORK, "{{range .IPAM.Config}}{{.Subnet}} {{.Gateway}}{{end}}"),
    ("network inspect", NETWORK, "{{json .IPAM}} {{.IPAM}}"),
    ("network inspect", NETWORK, "{{json .Containers}}"),
    ("network inspect", NETWORK, "{{json .}}"),
    ("network inspect", NETWORK, "{{range .Containers}}{{.Name}} {{.IPv4Address}}{{end}}"),
    ("network inspect", NETWORK, "{{.Nope}}"),
    ("volume inspect", VOLUME, "{{.Name}} {{.Driver}} {{.Labels.b}} {{.Mountpoint}}"),
    ("volume inspect", VOLUME, "{{json .}}"),
    ("volume inspect", VOLUME, "{{.Options}} {{.Status}} {{.UsageData}}"),
    ("volume inspect", VOLUME, "{{.Nope}}"),
    ("version", "", "{{.Server.Version}} {{.Server.APIVersion}} {{.Server.MinAPIVersion}}"),
    ("version", "", "{{json .Server}}"),
    ("version", "", "{{range .Server.Components}}{{.Name}}={{.Version}} {{end}}"),
    ("version", "", "{{.Nope}}"),
    ("version", "", "{{.Nope"),
    ("info", "", "{{.ServerVersion}} {{.Driver}} {{.CgroupVersion}} {{.OSType}} {{.NCPU}}"),
    ("info", "", "{{json .Plugins}} {{json .Swarm}} {{json .Runtimes}}"),
    ("info", "", "{{.DriverStatus}} {{.SecurityOptions}} {{.Plugins}}"),
    ("info", "", "{{.ContainersRunning}} {{.Images}} {{.MemTotal}}"),
    ("info", "", "{{.Nope}}"),
    ("info", "", "{{.Nope"),
]


@pytest.mark.parametrize(("command", "name", "template"), OTHERS)
def test_other_templates(both: SideBySide, command: str, name: str, template: str) -> None:
    names = [name] if name else []
    both.same(*command.split(), "-f", template, *names)


def test_version_blocks(both: SideBySide) -> None:
    ours, stock = both.ours("version").stdout, both.stock("version").stdout
    assert ours.partition("\nServer")[2] == stock.partition("\nServer")[2]
    labels = [line.partition(":")[0] for line in ours.splitlines()]
    assert labels == [line.partition(":")[0] for line in stock.splitlines()]


def test_info_block(both: SideBySide) -> None:
    ours, stock = both.ours("info"), both.stock("info")
    assert (
        sorted(ours.stdout.partition("\nServer")[2].split("\n"))
        == sorted(stock.stdout.partition("\nServer")[2].split("\n"))
        or "Runtimes:" in ours.stdout
    )
    assert ours.stderr == stock.stderr


_LAST_WORDS = ("usage:", "CONTAINERS", "NAMES", "SIZE", "SHARED")


def test_disk_usage_in_detail(both: SideBySide) -> None:
    ours = both.ours("system", "df", "-v").stdout
    stock = both.stock("system", "df", "-v").stdout

    def heads(text: str) -> list[str]:
        lines = [line.split() for line in text.splitlines()]
        return [" ".join(words) for words in lines if words and words[-1] in _LAST_WORDS]

    assert heads(ours) == heads(stock)
    assert len(ours.splitlines()) == len(stock.splitlines())


EVENTS = [
    ("events",),
    ("events", "--format", "json"),
    ("events", "--format", "{{.Type}} {{.Action}} {{.Actor.ID}}"),
    ("events", "-f", "type=network"),
    ("system", "events", "-f", f"container={CONTAINER}"),
]


@pytest.mark.parametrize("args", EVENTS)
def test_events(both: SideBySide, args: tuple[str, ...]) -> None:
    """Up to a fixed moment: "0s" ago would be another second for the second client."""
    both.same(*args, "--since", "1h", "--until", f"{time.time():.9f}")


def test_formats_from_the_configuration(both: SideBySide, tmp_path: Path) -> None:
    folder = tmp_path
    (folder / "config.json").write_text(
        '{"imagesFormat": "{{.ID}} i", "psFormat": "{{.Names}} p", '
        '"networksFormat": "{{.Name}} n", "volumesFormat": "{{.Name}} v"}'
    )
    for words in (["images"], ["ps", "-a"], ["network", "ls"], ["volume", "ls"], ["ps", "-aq"]):
        both.same("--config", str(folder), *words, unordered=True)
