"""``pier buildx imagetools``: manifests and indexes in registries, asked and put directly."""

from __future__ import annotations

from pierhead.cli.errors import CliError
from pierhead.cli.flags import Command
from pierhead.cli.manifest.record import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, named, platform_of
from pierhead.client.json_fast import loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pierhead.cli.flags import Options
    from pierhead.cli.format.references import Reference
    from pierhead.cli.main import Cli
    from pierhead.distribution.registry import Registry

_LISTS = (DOCKER_LIST, OCI_INDEX)
_CONFIG_LIMIT_BYTES = 8 << 20


class Found:
    """A document of a registry: its exact bytes."""

    __slots__ = ("data", "digest", "media_type", "platform", "ref")

    def __init__(self, ref: Reference, media_type: str, digest: str, data: bytes) -> None:
        self.ref = ref
        self.media_type = media_type
        self.digest = digest
        self.data = data
        #: Of an image that is in no index.
        self.platform: dict[str, Any] = {}

    @property
    def document(self) -> dict[str, Any]:
        """The JSON in it. Raises ``CliError``."""
        try:
            value = loads(self.data.decode("utf-8", "replace"))
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise CliError(f"ERROR: {self.ref} is no manifest")
        return value

    def descriptors(self) -> list[dict[str, Any]]:
        """What an index has of it: its entries, or itself."""
        if self.media_type in _LISTS:
            return list(self.document.get("manifests") or ())
        entry: dict[str, Any] = {
            "mediaType": self.media_type,
            "digest": self.digest,
            "size": len(self.data),
        }
        if self.platform:
            entry["platform"] = self.platform
        return [entry]


async def _fetch(registry: Registry, ref: Reference) -> Found:
    got = await registry.manifest(ref.path, ref.digest or ref.tag)
    found = Found(ref, got.media_type, str(got.digest), got.data)
    if found.media_type not in _LISTS:
        from pierhead.oci.manifest import Descriptor

        config = found.document.get("config") or {}
        if config.get("digest"):
            wanted = Descriptor(digest=config["digest"], size=int(config.get("size") or 0))
            data = await registry.read_blob(ref.path, wanted, limit_bytes=_CONFIG_LIMIT_BYTES)
            try:
                value = loads(data.decode("utf-8", "replace"))
            except ValueError:
                value = {}
            if isinstance(value, dict) and value.get("os"):
                found.platform = platform_of(value)
    return found


def _remote(cli: Cli, domain: str) -> Any:
    from pierhead.cli.manifest.remote import Remote

    return Remote(cli, domain, insecure=False)


def platform_text(platform: dict[str, Any]) -> str:
    """``linux/arm/v7``."""
    parts = [platform.get("os", ""), platform.get("architecture", ""), platform.get("variant", "")]
    return "/".join(str(part) for part in parts if part)


def inspect(cli: Cli, options: Options, args: list[str]) -> None:
    """GET a manifest or index, and show it."""
    ref = named(args[0])
    found: Found = _remote(cli, ref.domain).ask(lambda registry: _fetch(registry, ref), args[0])
    if options.flag("raw"):
        cli.out_bytes(found.data)
        return
    form = options.string("format")
    if form:
        from pierhead.cli.format.listing import DictRow, write_list

        manifest = {
            "mediaType": found.media_type,
            "digest": found.digest,
            "size": len(found.data),
            **found.document,
        }
        row = {"Name": str(ref), "Manifest": manifest}
        write_list(cli, form, [DictRow(row, "imagetools.tplInputs")], {})
        return
    cli.out(pretty(found))


def pretty(found: Found) -> str:
    """Name, type, digest, and what is in an index."""
    lines = [
        f"Name:      {found.ref}",
        f"MediaType: {found.media_type}",
        f"Digest:    {found.digest}",
    ]
    if found.media_type in _LISTS:
        lines += ["           ", "Manifests: "]
        base = str(found.ref).partition("@")[0]
        for entry in found.descriptors():
            block = [
                ("Name:", f"{base}@{entry.get('digest', '')}"),
                ("MediaType:", str(entry.get("mediaType", ""))),
            ]
            if entry.get("platform"):
                block.append(("Platform:", platform_text(entry["platform"])))
            width = 14 if entry.get("annotations") else 12
            lines += [f"  {key:<{width}} {value}" for key, value in block]
            if entry.get("annotations"):
                lines.append("  Annotations: ")
                lines += [
                    f"    {key}: {value}" for key, value in sorted(entry["annotations"].items())
                ]
            lines.append("")
        lines.pop()
    return "\n".join(lines) + "\n"


def combine(
    found: list[Found], annotations: dict[str, str], platforms: list[str], *, prefer_index: bool
) -> tuple[bytes, str]:
    """(bytes, media type) of what is to be put: one source as it is, or an index of all.

    Raises ``CliError``.
    """
    single = len(found) == 1 and not annotations and not platforms
    if single and (found[0].media_type in _LISTS or not prefer_index):
        return found[0].data, found[0].media_type
    entries: dict[str, dict[str, Any]] = {}
    for source in found:
        for entry in source.descriptors():
            entries.setdefault(str(entry.get("digest")), entry)
    chosen = list(entries.values())
    if platforms:
        chosen = [one for one in chosen if platform_text(one.get("platform") or {}) in platforms]
        kept = {str(one.get("digest")) for one in chosen}
        chosen += [
            one
            for one in entries.values()
            if (one.get("annotations") or {}).get("vnd.docker.reference.digest") in kept
        ]
        if not chosen:
            raise CliError("ERROR: no manifests match the requested platforms")
    above: dict[str, str] = {}
    for key, value in annotations.items():
        types, colon, name = key.partition(":")
        for kind in types.split(",") if colon else ("index",):
            if kind == "index":
                above[name or key] = value
            elif kind.partition("[")[0] == "manifest-descriptor":
                wanted = kind.partition("[")[2].rstrip("]")
                for one in chosen:
                    if not wanted or platform_text(one.get("platform") or {}) == wanted:
                        one["annotations"] = {**(one.get("annotations") or {}), name: value}
            else:
                raise CliError(f"ERROR: {kind} annotations are not supported while creating index")
    docker = not above and all(one.get("mediaType") == DOCKER_MANIFEST for one in chosen)
    media_type = DOCKER_LIST if docker else OCI_INDEX
    document: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "manifests": chosen,
    }
    if above:
        document["annotations"] = above
    import json

    return json.dumps(document, indent=2, ensure_ascii=False).encode(), media_type


def create(cli: Cli, options: Options, args: list[str]) -> None:
    """Fetch sources, put an index of them together, push it under all tags."""
    from pierhead.cli.build import values

    tags = [named(text) for text in options.strings("tag")]
    dry = options.flag("dry-run")
    if options.strings("file"):
        raise CliError(
            "ERROR: --file is not implemented yet in Pierhead: name sources by NAME@DIGEST"
        )
    if not args and not options.flag("append"):
        raise CliError("ERROR: no sources specified")
    if not dry and not tags:
        raise CliError("ERROR: can't push with no tags specified, please set --tag or --dry-run")
    try:
        annotations = values.annotation_keys(options.strings("annotation"))
    except ValueError as error:
        raise CliError(f"ERROR: failed to parse annotations: {error}") from None
    sources = [named(text) for text in args]
    if options.flag("append") and tags:
        sources.insert(0, tags[0])
    domains = {ref.domain for ref in (*sources, *tags)}
    if len(domains) > 1:
        raise CliError(
            "ERROR: sources and tags in several registries are not implemented yet in Pierhead: "
            "pull, tag and push what is elsewhere"
        )
    platforms = [part for text in options.strings("platform") for part in text.split(",")]
    remote = _remote(cli, domains.pop())

    async def work(registry: Registry) -> bytes:
        found = [await _fetch(registry, ref) for ref in sources]
        data, media_type = combine(
            found, annotations, platforms, prefer_index=options.flag("prefer-index")
        )
        if dry:
            return data
        for tag in tags:
            for source in found:
                await _copy(cli, registry, source, tag)
            cli.err(f"pushing {tag.domain}/{tag.path}:{tag.tag}\n")
            await registry.put_manifest(tag.path, tag.tag, data, media_type)
        return b""

    data = remote.ask(work, ", ".join(args), push=not dry)
    if dry:
        cli.out_bytes(data + b"\n")


async def _copy(cli: Cli, registry: Registry, source: Found, tag: Reference) -> None:
    """Everything of a source that another repository of the same registry needs."""
    from pierhead.cli.manifest.remote import mount

    path = source.ref.path
    if path == tag.path:
        return
    for entry in source.descriptors():
        got = await registry.manifest(path, str(entry["digest"]))
        document = Found(source.ref, got.media_type, str(got.digest), got.data).document
        for blob in (document.get("config"), *(document.get("layers") or ())):
            if blob:
                await mount(registry, tag, str(blob["digest"]), path)
        cli.err(f"copying {got.digest} from {source.ref} to {tag.domain}/{tag.path}\n")
        await registry.put_manifest(tag.path, str(got.digest), got.data, got.media_type)


_BUILDER = ("builder", "", "string", "", "Only the daemon builds: 'default'")

INSPECT = Command(
    "[OPTIONS] NAME",
    inspect,
    (
        _BUILDER,
        ("format", "", "string", "", "Go template: .Name, .Manifest"),
        ("raw", "", "bool", False, "Print the manifest as it is"),
    ),
    args=(1, 1),
)
CREATE = Command(
    "[OPTIONS] [SOURCE...]",
    create,
    (
        ("annotation", "", "list", None, "Add an annotation to the index"),
        ("append", "", "bool", False, "Add to what the first tag has"),
        _BUILDER,
        ("dry-run", "", "bool", False, "Show what would be pushed"),
        ("file", "f", "list", None, ""),
        ("platform", "p", "list", None, "Only these platforms"),
        ("prefer-index", "", "bool", True, "Make an index even of one image"),
        ("progress", "", "string", "auto", ""),
        ("tag", "t", "list", None, "Push under this name"),
    ),
)
