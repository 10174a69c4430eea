"""``/images``, but for what needs a registry."""

from __future__ import annotations

from aiohttp.web_response import StreamResponse

from pierhead.api import shape
from pierhead.api.call import Call
from pierhead.api.handlers import registry
from pierhead.api.handlers.prune import prune_reply
from pierhead.engine.config import ApiStruct
from pierhead.engine.filters import Filters
from pierhead.errors import InvalidParameter


class BootstrapRequest(ApiStruct):
    """Body of ``POST /pierhead/images/bootstrap``, an endpoint of our own."""

    spec: str = ""  # "busybox" or "debian:<suite>"
    variant: str = ""
    packages: list[str] | None = None
    mirror: str = ""
    tag: str = ""


async def list_images(call: Call) -> StreamResponse:
    filters = call.filters()
    if call.api < 41 and call.text("filter") and "reference" not in filters:
        filters = Filters({**filters.as_dict(), "reference": [call.text("filter")]})
    found = call.engine.images.list(
        filters,
        all=call.flag("all"),
        digests=call.flag("digests"),
        shared_size=call.api >= 42 and call.flag("shared-size"),
        manifests=call.api >= 47 and call.flag("manifests"),
    )
    return call.json(shape.images(found, call.api))


async def inspect(call: Call) -> StreamResponse:
    platform = call.platform() if call.api >= 49 else None
    manifests = call.api >= 48 and call.flag("manifests")
    if manifests and platform:
        raise InvalidParameter(
            "conflicting options: manifests and platform options cannot both be set"
        )
    details = call.engine.images.inspect(call.name, platform, manifests=manifests)
    return call.json(shape.image(details, call.api))


async def attestations(call: Call) -> StreamResponse:
    """``GET /images/{name}/attestations[?platform=][&type=...][&statement=1]``."""
    platforms = call.platforms("platform")
    if len(platforms) > 1:
        raise InvalidParameter("multiple platform parameters are not supported: ask one by one")
    found = await call.engine.images.attestations(
        call.name,
        platforms[0] if platforms else None,
        types=call.texts("type"),
        whole=call.flag("statement"),
    )
    return call.json(found)


async def history(call: Call) -> StreamResponse:
    platform = call.platform() if call.api >= 48 else None
    return call.json(call.engine.images.history(call.name, platform))


async def tag(call: Call) -> StreamResponse:
    call.engine.images.tag(call.name, call.text("repo"), call.text("tag"))
    return call.empty(201)


async def remove(call: Call) -> StreamResponse:
    if not call.name.strip():
        raise InvalidParameter("image name cannot be blank")
    removed = await call.engine.images.remove(
        call.name,
        force=call.flag("force"),
        noprune=call.flag("noprune"),
        platforms=call.platforms("platforms") if call.api >= 50 else None,
    )
    return call.json(removed)


async def prune(call: Call) -> StreamResponse:
    report = await call.engine.images.prune(call.filters())
    deleted = [text for item in report.get("ImagesDeleted") or () for text in item.values() if text]
    return await prune_reply(call, report, deleted)


async def create(call: Call) -> StreamResponse:
    """Pull (``fromImage``) or import (``fromSrc``)."""
    if call.text("fromImage"):
        return await registry.pull(call)
    source = call.text("fromSrc")
    if not source:
        raise InvalidParameter("fromImage or fromSrc is needed: what to pull or to import")
    images = call.engine.images
    options = {
        "repo": call.text("repo"),
        "tag": call.text("tag"),
        "platform": call.platform() if call.api >= 32 else None,
    }
    changes = call.texts("changes")
    message = call.text("message") or f"Imported from {source}"
    if source != "-":
        url = source if "://" in source else f"http://{source}"
        return await call.stream_messages(
            images.import_url(url, changes=changes, message=message, **options)  # type: ignore[arg-type]
        )
    image_id = await images.import_image(
        call.chunks(),
        changes=changes,
        message=message,
        **options,  # type: ignore[arg-type]
    )
    return call.json({"status": str(image_id)})


async def load(call: Call) -> StreamResponse:
    images = call.engine.images.load(
        call.chunks(), quiet=call.flag("quiet", True), platforms=_platforms(call)
    )
    return await call.stream_messages(images)


async def save(call: Call) -> StreamResponse:
    """``GET /images/get?names=a&names=b`` and ``GET /images/{name}/get``."""
    platforms = _platforms(call)
    names = [call.name] if call.name else call.texts("names")
    if not names:
        raise InvalidParameter("names is needed: which images to save")
    archive = call.engine.images.save(names, platforms=platforms)
    return await call.stream_bytes(archive, "application/x-tar")


async def bootstrap(call: Call) -> StreamResponse:
    """Parameters in the query or, for long lists, in the body."""
    body: BootstrapRequest = call.body
    spec = call.text("spec", body.spec)
    if not spec:
        raise InvalidParameter("spec is needed: busybox, or debian:<suite>")
    packages = [name for text in call.texts("packages") for name in text.split(",") if name]
    return await call.stream_messages(
        call.engine.images.bootstrap(
            spec,
            variant=call.text("variant", body.variant),
            packages=packages or body.packages,
            mirror=call.text("mirror", body.mirror),
            tag=call.text("tag", body.tag),
        )
    )


def _platforms(call: Call) -> list[str]:
    """Which platforms' images to load or save: one since 1.48, several since 1.52."""
    if call.api < 48:
        return []
    if call.api < 52 and len(call.texts("platform")) > 1:
        raise InvalidParameter(
            "multiple platform parameters are not supported in this API version; use API "
            "version 1.52 or later"
        )
    return call.platforms("platform")
