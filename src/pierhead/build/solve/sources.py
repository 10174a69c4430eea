"""Trees that a build's steps read from: fetched when first asked for, once, then kept.

A ``Tree`` is a source and, if there is one, a short name for all of its content (a chain id,
a commit): steps are looked up by it first, without a look into the tree.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pierhead import tasks
from pierhead.build.export.model import Material
from pierhead.build.files.model import Inline, Source, Transfer
from pierhead.build.files.service import FileService
from pierhead.build.model import Client, Wanted
from pierhead.build.plan import urls
from pierhead.build.plan.model import FromContext, FromUrl
from pierhead.build.solve.report import Report, Reported
from pierhead.errors import InvalidParameter, NotFound, TooLarge
from pierhead.oci.digest import ChainId, Digest

DOCKERFILE_LIMIT_BYTES: Final = 16 << 20


@dataclass(frozen=True, slots=True)
class Tree:
    source: Source
    identity: str = ""
    step: Digest | None = None
    """The step that fetched it."""


class Sources:
    """All sources of one build. ``close`` gives them back."""

    def __init__(
        self,
        files: FileService,
        client: Client,
        report: Report,
        *,
        shared_key: str = "",
        keep_git_dir: bool = False,
    ) -> None:
        self._files = files
        self._client = client
        self._report = report
        self._shared_key = shared_key
        self._keep_git_dir = keep_git_dir
        self._running: dict[object, asyncio.Task[Any]] = {}
        self._held: list[Source] = []
        self.materials: list[Material] = []
        self.context = "context"
        """As the options name it."""
        self.named: Mapping[str, str] = {}
        self.paths: Mapping[str, Sequence[str]] = {}
        """What the plans need of each context."""
        self.ignore: Sequence[str] = ()
        """.dockerignore's patterns for the build context."""

    async def _once(
        self, key: object, work: Callable[[], Coroutine[Any, Any, Tree | Exception]]
    ) -> Tree:
        task = self._running.get(key)
        if task is None:
            task = self._running[key] = tasks.spawn(work(), name="build source")
        found = await asyncio.shield(task)
        if isinstance(found, Exception):
            raise found
        return found  # type: ignore[no-any-return]

    def start(self, name: str, identity: str = "") -> Reported:
        """An internal step of the report."""
        return self._report.start(name, identity=identity)

    def key(self, kind: str, name: str) -> str:
        """What builds of one client share a source under: different parts never meet."""
        return f"{self._shared_key}:{kind}:{name}" if self._shared_key else ""

    def hold(self, source: Source) -> Source:
        """``source`` is given back at the end."""
        self._held.append(source)
        return source

    # Contexts

    async def tree(self, origin: FromContext | FromUrl) -> Tree:
        """The tree of a context or download, fetched now if it wasn't."""
        if isinstance(origin, FromContext):
            return await self._once(origin, lambda: tasks.outcome(self._context(origin.name)))
        return await self._once(origin, lambda: tasks.outcome(self._url(origin)))

    async def _context(self, name: str) -> Tree:
        value = self.named.get(name, "") if name else self.context
        if not value:
            return self.inline((), "context")
        if urls.is_remote(value):
            tree = await self.remote(value)
            if self.ignore and not name:
                narrow = await self._files.narrowed(tree.source, self.ignore)
                tree = Tree(self.hold(narrow), step=tree.step)
            return tree
        if name and not value.startswith("local:"):
            kind = value.partition(":")[0]
            raise InvalidParameter(f"unsupported context source {kind} for {name}")
        local = value.removeprefix("local:")
        paths = self.paths.get(name, ())
        wanted = Wanted(
            follow=tuple(paths),
            exclude=tuple(self.ignore) if not name else (),
            shared_key=self.key("context", local),
        )
        what = "build context" if not name else f"from {local}"
        shown = f"[internal] load {what}" if not name else f"[context {name}] load {what}"
        with self._report.start(shown, identity=local) as step:
            source, _ = await self.local(local, wanted, step)
        return Tree(source, step=step.step)

    async def local(
        self, name: str, wanted: Wanted, step: Reported, what: str = "context"
    ) -> tuple[Source, Transfer]:
        """One of the client's local sources; ``what`` is what progress says of it."""
        shown = f"transferring {what}:"

        def progress(_: str, current: int, total: int) -> None:
            step.progress(shown, "transferring", current, total)

        try:
            source, transfer = await self._files.context(
                self._client, name, wanted, progress=progress
            )
        except NotFound as error:
            raise InvalidParameter(f'could not find the local source "{name}": {error}') from error
        self.hold(source)
        step.progress(shown, "transferring", transfer.bytes_received, done=True)
        for note in transfer.notes:
            step.log(2, note.encode() + b"\n")
        return source, transfer

    async def remote(self, url: str) -> Tree:
        """A context that is a URL: a repository's tree, what a tar there holds, or one file."""
        return await self._once(("remote", url), lambda: tasks.outcome(self._remote(url)))

    async def _remote(self, url: str) -> Tree:
        if urls.is_git_context(url):
            full = url if "://" in url or url.startswith("git@") else f"https://{url}"
            return await self._url(
                FromUrl(full, is_git=True, keep_git_dir=self._keep_git_dir), internal=True
            )
        tree = await self._url(FromUrl(url), internal=True)
        head = await self.one_file(tree)
        if head is None or not _is_archive(head):
            return tree
        unpacked = self.hold(await self._files.archive(tree.source))
        return Tree(unpacked, f"{tree.identity} unpacked" if tree.identity else "", tree.step)

    async def _url(self, origin: FromUrl, *, internal: bool = False) -> Tree:
        prefix = "[internal] load " if internal else ""
        kind = "git source" if origin.is_git else "remote"
        name = f"{prefix}{kind} {origin.url}"
        with self._report.start(name, identity=origin.url) as step:

            def progress(what: str, current: int, total: int) -> None:
                step.progress(what or origin.url, "downloading", current, total)

            if origin.is_git:
                source = await self._files.git(
                    origin.url,
                    keep_git_dir=origin.keep_git_dir,
                    checksum=origin.checksum,
                    client=self._client,
                    progress=progress,
                )
                commit = self._files.git_commit(source)
                self.materials.append(Material(uri=origin.url, digest=commit))
            else:
                source = await self._files.http(
                    origin.url, checksum=origin.checksum, progress=progress
                )
                if source.identity is not None:
                    self.materials.append(Material(uri=origin.url, digest=source.identity))
            self.hold(source)
        return Tree(source, source.identity or "", step.step)

    async def one_file(self, tree: Tree) -> bytes | None:
        """The bytes of a download; ``None`` if they are too many for a Dockerfile."""
        for entry in await self._files.listdir(tree.source, "/"):
            name = entry.path.decode("utf-8", "surrogateescape")
            try:
                return await self._files.read(tree.source, name, DOCKERFILE_LIMIT_BYTES)
            except TooLarge:
                return b"\x1f\x8b"  # nothing but an archive is so large
        return None

    # The others

    def chain(self, chain_id: ChainId | None, name: str, step: Digest | None = None) -> Tree:
        """A stage's or an image's file system; who asks holds its chain."""
        return Tree(self._files.chain(chain_id, name), chain_id or "nothing", step)

    def inline(self, inline: Sequence[Inline], name: str = "inline") -> Tree:
        """Heredocs."""
        return Tree(self.hold(self._files.inline(inline, name)))

    async def read(self, source: Source, path: str) -> bytes | None:
        """A small file of a source; ``None`` if there is none."""
        try:
            return await self._files.read(source, path, DOCKERFILE_LIMIT_BYTES)
        except NotFound:
            return None

    async def close(self) -> None:
        running = [task for task in self._running.values() if not task.done()]
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)
        held, self._held = self._held, []
        for source in held:
            await self._files.release(source)


_MAGIC: Final = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd")


def _is_archive(data: bytes) -> bool:
    """Whether this is a tar, packed or not."""
    return data.startswith(_MAGIC) or data[257:262] == b"ustar"
