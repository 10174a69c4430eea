"""``pier manifest`` and the registry: the daemon has no part in it, as with docker.

The registry client is the daemon's (``pierhead.distribution.registry``); it and what it
needs are imported here alone, when a command really has something to ask.
"""

from __future__ import annotations

from pierhead.cli.errors import CliError
from pierhead.cli.manifest.record import DOCKER_LIST, OCI_INDEX, Record, platform_of
from pierhead.cli.registry.credentials import config_key, get
from pierhead.client.json_fast import loads
from pierhead.errors import PierError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any, TypeVar

    from pierhead.cli.format.references import Reference
    from pierhead.cli.main import Cli
    from pierhead.distribution.registry import Registry

    T = TypeVar("T")

_CONFIG_LIMIT_BYTES = 8 << 20
_UNKNOWN = ("UNAUTHORIZED", "MANIFEST_UNKNOWN", "NAME_UNKNOWN")


class Remote:
    """A registry by the domain of a reference; one connection for each call."""

    def __init__(self, cli: Cli, domain: str, *, insecure: bool) -> None:
        self._cli = cli
        self._domain = domain
        self.registry_mirrors: list[str] = []
        self.registry_mirrors_for: dict[str, list[str]] = {}
        self.insecure_registries = [domain] if insecure else []

    def manifest(self, ref: Reference) -> Record:
        """One image's manifest. Raises ``CliError`` if it is none, or isn't there."""

        async def fetch(registry: Registry) -> Record:
            got = await registry.manifest(ref.path, ref.digest or ref.tag)
            if got.media_type in (DOCKER_LIST, OCI_INDEX):
                raise CliError(f"{ref} is a manifest list")
            return await _record(registry, ref, str(ref), got)

        return self.ask(fetch, str(ref))

    def manifest_or_list(self, ref: Reference) -> Record | list[Record]:
        """One image's manifest, or those of all images in a list."""

        async def fetch(registry: Registry) -> Record | list[Record]:
            got = await registry.manifest(ref.path, ref.digest or ref.tag)
            if got.media_type not in (DOCKER_LIST, OCI_INDEX):
                return await _record(registry, ref, str(ref), got)
            records = []
            for each in loads(got.data.decode("utf-8", "replace")).get("manifests") or []:
                digest = str(each["digest"])
                part = await registry.manifest(ref.path, digest)
                record = await _record(
                    registry, ref, f"{str(ref).partition('@')[0]}@{digest}", part
                )
                record.platform = platform_of(each.get("platform") or {})
                records.append(record)
            return records

        return self.ask(fetch, str(ref))

    def push(
        self,
        target: Reference,
        data: bytes,
        media_type: str,
        parts: list[tuple[Record, str]],
        say: Callable[[str], None],
    ) -> str:
        """Put a list under ``target``; return its digest.

        ``parts`` are images of other repositories (paths): their blobs are mounted, their
        manifests put beside the list, and ``say`` is told of each.
        """

        async def put(registry: Registry) -> str:
            for record, path in parts:
                for digest in record.blobs():
                    await mount(registry, target, digest, path)
            for record, _ in parts:
                await registry.put_manifest(
                    target.path, record.digest, record.raw, record.media_type
                )
                say(
                    f"Pushed ref {target.domain}/{target.path}@{record.digest} "
                    f"with digest: {record.digest}\n"
                )
            ref = target.tag or target.digest
            try:
                return str(await registry.put_manifest(target.path, ref, data, media_type))
            except PierError as error:
                raise CliError(f"failed to put manifest {target}: {error}") from error

        return self.ask(put, str(target), push=True)

    def ask(
        self,
        work: Callable[[Registry], Coroutine[Any, Any, T]],
        name: str,
        *,
        push: bool = False,
    ) -> T:
        """What ``work`` finds out at the registry, with the user's credentials."""
        _find_packages()
        import asyncio

        from pierhead import __version__
        from pierhead.distribution.credentials import of_document
        from pierhead.distribution.registry import Registry

        kept = get(self._cli, config_key(self._domain))

        async def run() -> T:
            async with Registry(
                self._domain,
                self,
                credentials=of_document(dict(kept)) if kept else None,
                user_agent=f"Pierhead-Client/{__version__} (linux)",
                push=push,
            ) as registry:
                return await work(registry)

        try:
            return asyncio.run(run())
        except PierError as error:
            if not push and (getattr(error, "code", "") in _UNKNOWN or error.kind == "not_found"):
                raise CliError(f"no such manifest: {name}") from error
            raise CliError(error.message) from error


async def _record(registry: Registry, ref: Reference, name: str, got: Any) -> Record:
    """The manifest with the platform that its config names."""
    from pierhead.oci.manifest import Descriptor

    try:
        config = loads(got.data.decode("utf-8", "replace"))["config"]
        descriptor = Descriptor(digest=config["digest"], size=int(config["size"]))
    except (ValueError, KeyError, TypeError) as error:
        raise CliError(f"{name} is not a manifest") from error
    data = await registry.read_blob(ref.path, descriptor, limit_bytes=_CONFIG_LIMIT_BYTES)
    try:
        document = loads(data.decode("utf-8", "replace"))
    except ValueError:
        document = {}
    platform = platform_of(document if isinstance(document, dict) else {})
    return Record(name, got.media_type, str(got.digest), got.data, platform)


async def mount(registry: Registry, target: Reference, digest: str, path: str) -> None:
    """Let ``target``'s repository have a blob of another one. Raises ``CliError``."""
    if await registry.blob_exists(target.path, digest) is not None:
        return
    if not await registry.mount(target.path, digest, path):
        raise CliError(f"error mounting {path}@{digest} to {target}")


def _find_packages() -> None:
    """pier starts without site-packages (``-S``); aiohttp and msgspec lie there."""
    import importlib.util

    if importlib.util.find_spec("aiohttp") is None:
        import site

        site.main()
    if importlib.util.find_spec("aiohttp") is None or importlib.util.find_spec("msgspec") is None:
        raise CliError(
            "pier manifest needs the Python packages aiohttp and msgspec to talk to registries: "
            "run the pier that was installed with pierd"
        )
