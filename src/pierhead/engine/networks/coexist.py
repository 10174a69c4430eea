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

import logging
import socket
import struct
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Final

from pierhead.engine.networks.firewall import bridge_of
from pierhead.linux import nft as nf
from pierhead.linux import process
from pierhead.linux.nft import Nft, NftError

log = logging.getLogger(__name__)

_LEGACY_TABLES: Final = Path("/proc/net/ip_tables_names")
_TABLE: Final = "filter"
_CHAINS: Final = ("FORWARD", "DOCKER-USER", "INPUT")
_LEGACY: Final = "iptables-legacy"


class Neighbours:
    """Our rules in the chains of others."""

    def __init__(self, nft: Nft, mark: str) -> None:
        """``mark`` tells our rules by their comment; one for each pierd."""
        self._nft = nft
        self._mark = mark

    def reconcile(self, bridges: Collection[str], links: Collection[str]) -> None:
        """Have a rule for exactly these bridges where the policy is drop.

        ``links`` are the host's interfaces: rules of other pierds for bridges that are gone
        go too.
        """
        try:
            chains = {name: self._nft.chain(_TABLE, name) for name in _CHAINS}
            messages = plan(chains, bridges, self._mark, links)
            if messages:
                log.debug(
                    "changing the host's FORWARD rules",
                    extra={"changes": [message.what for message in messages]},
                )
                self._nft.transaction(messages)
        except NftError as error:  # the owner changed it at the same time; next time then
            log.warning("cannot change the host's FORWARD rules", extra={"error": str(error)})

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


def plan(
    chains: Mapping[str, nf.Chain | None],
    bridges: Iterable[str],
    mark: str,
    links: Collection[str],
) -> list[nf.Message]:
    """What to change in the table ``ip filter``.

    Where INPUT drops too, containers are let through to our DNS server on the bridge.
    """
    wanted: dict[tuple[str, str], bytes] = {}
    forward = "FORWARD" if chains.get("DOCKER-USER") is None else "DOCKER-USER"
    for bridge in bridges:
        comment = _comment(mark, bridge)
        name = nf.compare(nf.ifname(bridge))
        incoming = nf.meta(nf.META_IIFNAME) + name
        if _drops(chains.get("FORWARD")):
            wanted[forward, f"{comment}:in"] = incoming
            wanted[forward, f"{comment}:out"] = nf.meta(nf.META_OIFNAME) + name
        if _drops(chains.get("INPUT")):
            for protocol, number in (("udp", socket.IPPROTO_UDP), ("tcp", socket.IPPROTO_TCP)):
                wanted["INPUT", f"{comment}:{protocol}"] = (
                    incoming
                    + nf.meta(nf.META_L4PROTO)
                    + nf.compare(bytes([number]))
                    + nf.payload(nf.TRANSPORT, 2, 2)
                    + nf.compare(struct.pack("!H", 53))
                )
    messages = []
    for chain in chains.values():
        for rule in chain.rules if chain else ():
            whose, _, rest = rule.comment.partition(":")
            if whose != mark:
                if bridge_of(whose) is not None and rest.partition(":")[0] not in links:
                    messages.append(nf.delete_rule(_TABLE, rule))
                continue
            if wanted.pop((rule.chain, rule.comment), None) is None:
                messages.append(nf.delete_rule(_TABLE, rule))
    accept = nf.counter() + nf.verdict(nf.ACCEPT)
    return messages + [
        nf.add_rule(_TABLE, chain, match, accept, comment=comment, first=True)
        for (chain, comment), match in wanted.items()
    ]


def _drops(chain: nf.Chain | None) -> bool:
    return chain is not None and chain.policy == nf.DROP


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
