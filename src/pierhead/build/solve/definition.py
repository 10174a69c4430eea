"""Reading what is to be built: the Dockerfile, and what is ignored of the context."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from dataclasses import dataclass

from pierhead.build.dockerfile import ignore
from pierhead.build.files.model import Source, SourceKind
from pierhead.build.model import BuildOptions, Wanted
from pierhead.build.plan import urls
from pierhead.build.solve.sources import Sources
from pierhead.errors import InvalidParameter

IGNORE_NAME = ".dockerignore"


@dataclass(slots=True, kw_only=True)
class Definition:
    """What was read."""

    name: str
    data: bytes
    ignore: Sequence[str] = ()


async def load(options: BuildOptions, sources: Sources) -> Definition:
    """The Dockerfile's bytes and the patterns of its .dockerignore.

    Raises ``InvalidParameter`` with BuildKit's words (the classic builder's with
    ``options.classic``) if there is no such file or it is empty.
    """
    name = options.dockerfile or "Dockerfile"
    if options.dockerfile_text is not None:
        found = Definition(name=name, data=options.dockerfile_text)
        place: Source | None = None
    elif urls.is_remote(options.context) and not options.dockerfile_source:
        found, place = await _remote(options, sources, name)
    else:
        found, place = await _local(options, sources, name)
    if not found.data.strip():
        if options.classic:
            raise InvalidParameter(f"the Dockerfile ({found.name}) cannot be empty")
        raise InvalidParameter("the Dockerfile cannot be empty")
    found.ignore = await _ignored(options, sources, found, place)
    return found


async def _remote(
    options: BuildOptions, sources: Sources, name: str
) -> tuple[Definition, Source | None]:
    """A git repository, a tar somewhere, or a URL of the Dockerfile itself."""
    tree = await sources.remote(options.context)
    if tree.source.kind is SourceKind.HTTP and not tree.identity.endswith(" unpacked"):
        text = await sources.one_file(tree)
        options.context = ""
        return Definition(name=name, data=text or b""), None
    data = await _find(sources, tree.source, name)
    if data is None:
        raise _missing(options, name)
    return Definition(name=data[0], data=data[1]), tree.source


async def _local(
    options: BuildOptions, sources: Sources, name: str
) -> tuple[Definition, Source | None]:
    local = options.dockerfile_source or options.context
    if not local:
        raise _missing(options, name)
    wanted = [name, f"{name}{IGNORE_NAME}"]
    if posixpath.basename(name) == "Dockerfile":
        wanted.append(posixpath.join(posixpath.dirname(name), "dockerfile"))
    if not options.dockerfile_source:
        wanted.append(IGNORE_NAME)
    title = f"[internal] load build definition from {posixpath.basename(name)}"
    with sources.start(title, local) as step:
        source, _ = await sources.local(
            local,
            Wanted(follow=tuple(wanted), shared_key=sources.key("definition", local)),
            step,
            "dockerfile",
        )
        data = await _find(sources, source, name)
        if data is None:
            raise _missing(options, name)
    return Definition(name=data[0], data=data[1]), source


async def _find(sources: Sources, source: Source, name: str) -> tuple[str, bytes] | None:
    data = await sources.read(source, name)
    if data is None and posixpath.basename(name) == "Dockerfile":
        name = posixpath.join(posixpath.dirname(name), "dockerfile")
        data = await sources.read(source, name)
    return (name, data) if data is not None else None


def _missing(options: BuildOptions, name: str) -> InvalidParameter:
    if options.classic:
        return InvalidParameter(f"Cannot locate specified Dockerfile: {name}")
    return InvalidParameter(
        f"failed to read dockerfile: open {posixpath.basename(name)}: no such file or directory"
    )


async def _ignored(
    options: BuildOptions, sources: Sources, found: Definition, place: Source | None
) -> Sequence[str]:
    """The Dockerfile's own .dockerignore, else the context's."""
    if urls.is_remote(options.context) and not options.classic:
        return ()  # as BuildKit: a repository has what its owner committed
    data: bytes | None = None
    named = f"{found.name}{IGNORE_NAME}"
    if place is not None and not options.classic:
        data = await sources.read(place, named)
    if data is not None:
        named_used = named
    else:
        named_used = IGNORE_NAME
        if place is not None and not options.dockerfile_source:
            data = await sources.read(place, IGNORE_NAME)
        elif options.context and not urls.is_remote(options.context):
            with sources.start(f"[internal] load {IGNORE_NAME}", options.context) as step:
                source, _ = await sources.local(
                    options.context,
                    Wanted(
                        follow=(IGNORE_NAME,),
                        shared_key=sources.key("ignore", options.context),
                    ),
                    step,
                )
                data = await sources.read(source, IGNORE_NAME)
    if not data:
        return ()
    try:
        patterns = ignore.read(data)
        rules = ignore.Rules(patterns)
    except ignore.PatternError as error:
        raise InvalidParameter(f"error reading {named_used}: {error}") from error
    if not options.classic:
        return patterns
    # The classic client has left out what is ignored but these two, which it must send.
    return [name for name in (IGNORE_NAME, found.name) if rules.ignored(name)]
