"""Getting along with other people's firewalls.

An ``accept`` in our table ends the matter only there. Docker and ufw set the policy of
the iptables chain FORWARD to drop, and a packet must pass every base chain. So where
that policy is drop, a rule for each of our bridges is put in front: into DOCKER-USER,
which is there for such rules and which dockerd leaves alone, else into FORWARD. What
reaches a container is still decided by our own table.

iptables comes in two kinds: its nft form is a table ``ip filter`` that we can read and
write ourselves; the legacy form needs its own program and is looked at only when the
kernel has that table.
"""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from pierhead.linux import process
from pierhead.linux.nftables import Nft, NftError

log = logging.getLogger(__name__)

_LEGACY_TABLES: Final = Path("/proc/net/ip_tables_names")
_LEGACY: Final = "iptables-legacy"
_RECHECK_S: Final = 5.0


class Neighbours:
    """Our rules in the chains of others."""

    def __init__(self, nft: Nft, mark: str) -> None:
        """``mark`` tells our rules by their comment; one for each pierd."""
        self._nft = nft
        self._mark = mark
        self._checked_s = 0.0

    def reconcile(self, bridges: Collection[str], *, force: bool = False) -> None:
        """Have a rule for exactly these bridges where the policy is drop.

        Asks the kernel at most every few seconds unless ``force``: a dockerd that starts
        after us is noticed with the next container.
        """
        now = time.monotonic()
        if not force and now - self._checked_s < _RECHECK_S:
            return
        self._checked_s = now
        chains = {name: self._chain(name) for name in ("FORWARD", "DOCKER-USER", "INPUT")}
        commands = plan(chains, bridges, self._mark)
        if not commands:
            return
        log.info("changing the host's FORWARD rules", extra={"commands": commands})
        try:
            self._nft.run("\n".join(commands))
        except NftError as error:  # the owner changed it at the same time; next time then
            log.warning("cannot change the host's FORWARD rules", extra={"error": str(error)})

    def _chain(self, name: str) -> list[dict[str, Any]] | None:
        try:
            listed = self._nft.run_json(f"list chain ip filter {name}")
        except (NftError, ValueError):
            return None
        objects: list[dict[str, Any]] = listed.get("nftables", [])
        return objects

    async def reconcile_legacy(self, bridges: Collection[str]) -> None:
        """The same for legacy iptables, by its own program (5 ms a call)."""
        try:
            if "filter" not in _LEGACY_TABLES.read_text().split():
                return
            listed = await process.run([_LEGACY, "-w", "5", "-S"], timeout_s=10)
        except OSError:  # no such table in the kernel, or the program is not there
            return
        if listed.returncode:
            return
        for argv in plan_legacy(listed.stdout.decode(), bridges, self._mark):
            done = await process.run([_LEGACY, "-w", "5", *argv], timeout_s=10)
            if done.returncode:
                log.warning(
                    "cannot change the host's FORWARD rules",
                    extra={"argv": argv, "error": done.stderr.decode(errors="replace")},
                )


Chains = Mapping[str, list[dict[str, Any]] | None]


def plan(chains: Chains, bridges: Iterable[str], mark: str) -> list[str]:
    """Commands for ``Nft.run``; the chains are libnftables-json(5) or None when absent.

    Where INPUT drops too, containers are let through to our DNS server on the bridge.
    """
    wanted: dict[tuple[str, str], str] = {}
    forward = "FORWARD" if chains.get("DOCKER-USER") is None else "DOCKER-USER"
    for bridge in bridges:
        rules: list[tuple[str, str, str]] = []
        if _drops(chains.get("FORWARD")):
            rules += [
                (forward, "in", f'iifname "{bridge}"'),
                (forward, "out", f'oifname "{bridge}"'),
            ]
        if _drops(chains.get("INPUT")):
            rules += [
                ("INPUT", protocol, f'iifname "{bridge}" {protocol} dport 53')
                for protocol in ("udp", "tcp")
            ]
        for chain, what, match in rules:
            wanted[chain, f"{_comment(mark, bridge)}:{what}"] = match
    commands: list[str] = []
    for item in itertools.chain.from_iterable(chain or () for chain in chains.values()):
        rule = item.get("rule", {})
        comment = str(rule.get("comment", ""))
        if not comment.startswith(mark + ":"):
            continue
        if wanted.pop((rule["chain"], comment), None) is None:
            commands.append(f"delete rule ip filter {rule['chain']} handle {rule['handle']}")
    commands += [
        f'insert rule ip filter {chain} {match} counter accept comment "{comment}"'
        for (chain, comment), match in wanted.items()
    ]
    return commands


def _drops(chain: list[dict[str, Any]] | None) -> bool:
    return any(item.get("chain", {}).get("policy") == "drop" for item in chain or ())


def plan_legacy(listing: str, bridges: Iterable[str], mark: str) -> list[list[str]]:
    """Arguments for ``iptables-legacy``, one list a call, from the output of ``-S``."""
    lines = listing.splitlines()
    drops = "-P FORWARD DROP" in lines
    target = "DOCKER-USER" if "-N DOCKER-USER" in lines else "FORWARD"
    wanted: dict[str, list[str]] = {}
    for bridge in bridges if drops else ():
        for side in ("-i", "-o"):
            comment = ["-m", "comment", "--comment", _comment(mark, bridge)]
            rule = [target, side, bridge, *comment, "-j", "ACCEPT"]
            wanted[" ".join(rule).replace('"', "")] = rule
    calls: list[list[str]] = []
    for line in lines:
        bare = line.replace('"', "").removeprefix("-A ")
        if f"--comment {mark}:" not in bare:
            continue
        if bare in wanted:
            del wanted[bare]
        else:
            calls.append(["-D", *bare.split()])
    return calls + [["-I", *rule] for rule in wanted.values()]


def _comment(mark: str, bridge: str) -> str:
    return f"{mark}:{bridge}"
