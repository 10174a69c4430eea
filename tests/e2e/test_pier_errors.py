"""``pier`` beside the stock ``docker``: what they say when something is wrong."""

from __future__ import annotations

import shlex

import pytest

from support.command import Command
from support.side_by_side import SideBySide

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def both(docker: Command, pier: Command, busybox: str) -> SideBySide:
    return SideBySide(docker, pier)


NOT_THERE = [
    "rmi nope",
    "rmi nope nope2",
    "rmi -f nope",
    "image rm nope",
    "image inspect nope",
    "image inspect nope nope2",
    "history nope",
    "tag nope x:y",
    "save nope",
    "network inspect nope",
    "network inspect bridge nope -f {{.Name}}",
    "network rm nope",
    "network rm -f nope",
    "network connect nope nope",
    "network connect bridge nope",
    "network disconnect bridge nope",
    "volume inspect nope",
    "volume rm nope",
    "volume rm -f nope",
    "volume rm nope nope2",
    "inspect nope",
    "inspect --type container nope",
    "inspect --type image nope",
    "inspect --type nonsense nope",
    "container inspect nope",
    "ps -f name=nope",
    "load -i /nonexistent",
    "import /nonexistent",
    "start nope",
    "stop nope",
    "rm nope",
    "rm -f nope",
    "kill nope",
    "logs nope",
    "exec nope true",
    "attach nope",
    "wait nope",
    "pause nope",
    "unpause nope",
    "restart nope",
    "rename nope x",
    "update --memory 64m nope",
    "top nope",
    "port nope",
    "diff nope",
    "export nope",
    "commit nope",
    "cp nope:/x /tmp/pier-nope",
]


@pytest.mark.parametrize("line", NOT_THERE)
def test_not_there(both: SideBySide, line: str) -> None:
    both.same(*shlex.split(line))


WRONG = [
    "images -f nonsense",
    "images -f nonsense=1",
    "images --nonsense",
    "images -Z",
    "images --format '{{.Nope}}'",
    "images --format '{{.ID'",
    "ps --format '{{.Nope}}'",
    "ps -f nonsense=1",
    "ps --last x",
    "network ls -f nonsense=1",
    "network ls --format '{{.Nope}}'",
    "network create",
    "network create a b",
    "network create bridge",
    "network create --subnet 10.0.0.0/8 --subnet 10.1.0.0/16 x",
    "network create --gateway 1.2.3.4 x",
    "network create --subnet nonsense x",
    "network create --subnet nonsense --gateway 10.0.0.1 x",
    "network create --driver nonsense x",
    "network create --label =x x",
    "network create --subnet 10.99.0.0/24 --ip-range 10.98.0.0/24 x",
    "network create --subnet 10.99.0.0/24 --aux-address a=10.98.0.1 x",
    "network rm bridge",
    "network rm host none",
    "network connect",
    "network connect host",
    "network disconnect bridge",
    "volume create -d nonsense x",
    "volume create --label =x x",
    "volume create 'sp ace'",
    "volume create a b",
    "volume create --name a b",
    "volume ls -f nonsense=1",
    "volume ls --format '{{.ID'",
    "volume inspect",
    "volume rm",
    "volume prune -a --filter all=1",
    "tag busybox UPPER",
    "tag busybox 'a b'",
    "tag busybox",
    "rmi",
    "save",
    "history",
    "history busybox busybox",
    "history --format '{{.Nope}}' busybox",
    "events --since nonsense",
    "events --format '{{.Nope}}'",
    "events --format '{{.Nope'",
    "events -f nonsense",
    "system df --format '{{.Nope}}'",
    "system prune --volumes --filter until=1h",
    "system df extra",
    "info extra",
    "version extra",
    "context show extra",
    "context use",
    "context use x",
    "login --password-stdin",
    "login -u a -p b --password-stdin",
    "login -u ''",
    "login",
    "logout a b",
    "pull",
    "pull UPPER",
    "pull -a busybox:1",
    "push UPPER",
    "push -a x:1",
    "search",
    "import",
    "load extra",
]


@pytest.mark.parametrize("line", WRONG)
def test_wrong(both: SideBySide, line: str) -> None:
    # The stock line breaks a word ("SRun '... --help'") that ours does not.
    both.same(*shlex.split(line), ignore=r"(?m)^(SRun|See|Run) '")


PRUNES = ["image prune", "network prune", "volume prune", "volume prune -a", "system prune"]
PRUNES += ["image prune -a", "system prune -a --volumes --filter label=x", "container prune"]


@pytest.mark.parametrize("line", PRUNES)
@pytest.mark.parametrize("answer", ["n\n", "", "nonsense\n"])
def test_prune_asks_first(both: SideBySide, line: str, answer: str) -> None:
    said = both.same(*shlex.split(line), input=answer)
    if said.returncode == 0:  # else the daemon is too old for the flag
        assert said.stdout.endswith("Are you sure you want to continue? [y/N] ")


def test_later_commands_say_so(docker: Command, pier: Command) -> None:
    """The daemon's own words, the stock client's exit status."""
    for words in (["pull", "busybox:nope"], ["push", "localhost:1/x"], ["search", "x"]):
        ours, stock = pier(*words, check=False), docker(*words, check=False)
        assert ours.returncode == stock.returncode == 1
        assert ours.stdout == stock.stdout
        assert ours.stderr == stock.stderr


def test_nobody_answers(docker: Command, pier: Command) -> None:
    for words in (["ps"], ["images"], ["network", "ls"], ["volume", "ls"], ["system", "df"]):
        env = {"DOCKER_HOST": "unix:///nonexistent/pier.sock"}
        ours = pier(*words, check=False, env=env)
        stock = docker(*words, check=False, env=env)
        assert ours.returncode == stock.returncode == 1
        assert ours.stdout == stock.stdout == ""
        start = "Cannot connect to the Docker daemon at unix:///nonexistent/pier.sock."
        assert ours.stderr.startswith(start)
        assert stock.stderr.startswith(start)
