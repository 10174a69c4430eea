"""Legacy links (``--link`` on the default bridge): second names, variables, taking one away.

A record holds ``<id of the other>:<alias>``, so that renaming and removing the other are easy
to follow; before Pierhead 0.2 it was ``<name>:<alias>``, which ``Registry.load`` converts. The
other container is then also known as ``/<this one>/<alias>``. The hosts file is written by
``networks/sandboxes.py``. On networks of their own users have links as aliases in DNS: those
are none of ours.
"""

from __future__ import annotations

import msgspec

from pierhead.engine.config import HostConfig
from pierhead.engine.containers.container import Container
from pierhead.engine.containers.context import Context
from pierhead.engine.containers.link_names import are_legacy, link_variables, split
from pierhead.errors import Conflict, InvalidParameter, NotFound

_BRIDGE = "bridge"


def resolve(ctx: Context, host: HostConfig) -> None:
    """Check the links of a container to be made; names become ids.

    Raises ``InvalidParameter``.
    """
    resolved = []
    for link in host.links or ():
        target, alias = split(link)
        try:
            other = ctx.registry.get(target)
            while other.record.host_config.network_mode.startswith("container:"):
                other = ctx.registry.get(other.record.host_config.network_mode[10:])
        except (NotFound, InvalidParameter) as error:
            raise InvalidParameter(f"could not get container for {target}: {error.message}") from (
                None
            )
        if other.record.host_config.network_mode == "host":
            raise InvalidParameter(
                "conflicting options: host type networking can't be used with links. "
                "This would result in undefined behavior"
            )
        resolved.append(f"{other.id}:{alias}")
    if are_legacy(host):
        host.links = resolved


def variables(ctx: Context, container: Container) -> list[str]:
    """``ALIAS_PORT_80_TCP=tcp://172.17.0.2:80`` and so on, of the others that run now."""
    found: list[str] = []
    if not are_legacy(container.record.host_config):
        return found
    for link in container.record.host_config.links or ():
        target, alias = split(link)
        other = ctx.registry.find(target)
        endpoint = other.status.networks.get(_BRIDGE) if other else None
        if other is None or endpoint is None or not endpoint.ip_address:
            continue
        found += link_variables(
            f"/{container.name}/{alias}",
            endpoint.ip_address,
            other.record.config.env or (),
            other.record.config.exposed_ports or (),
        )
    return found


def unlink(ctx: Context, ref: str) -> None:
    """``DELETE /containers/this/alias?link=1``: the other is known by that name no more.

    Raises ``Conflict`` for a container's own name.
    """
    name, slash, alias = ref.strip("/").rpartition("/")
    if not slash:
        raise Conflict("Conflict, cannot remove the default link name of the container")
    container = ctx.registry.get(name)
    links = container.record.host_config.links or ()
    drop(ctx, container, {link for link in links if split(link)[1] == alias})


def forget(ctx: Context, removed: Container) -> None:
    """A container goes: nobody is linked to it any more, as in Docker."""
    for name in {path.rpartition("/")[0] for path in ctx.registry.link_names(removed)}:
        container = ctx.registry.get(name)
        links = container.record.host_config.links or ()
        drop(ctx, container, {link for link in links if split(link)[0] == removed.id})


def drop(ctx: Context, container: Container, gone: set[str]) -> None:
    """Take links from a container, and from its hosts file where it runs."""
    host = container.record.host_config
    kept = [link for link in host.links or () if link not in gone]
    record = msgspec.structs.replace(
        container.record, host_config=msgspec.structs.replace(host, links=kept)
    )
    ctx.registry.unregister_links(container)
    container.record = record
    ctx.registry.register_links(container)
    ctx.registry.save(container)
    ctx.networks.set_links(container.id, kept)
