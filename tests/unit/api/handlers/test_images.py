"""Images at the edge."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from pierhead.errors import InvalidParameter, NotFound
from support.api import fake_engine, serving


class Images:
    def __init__(self) -> None:
        self.calls: list[Any] = []

    def list(self, filters: Any, **options: Any) -> Any:
        self.calls.append((filters.as_dict(), options))
        return [{"Id": "sha256:1", "Size": 7, "RepoTags": None}]

    def inspect(self, ref: str, platform: str | None = None, *, manifests: bool = False) -> Any:
        if ref == "missing" or platform == "linux/s390x":
            raise NotFound("No such image: missing:latest")
        self.calls.append((platform, manifests))
        return {"Id": ref, "Size": 7}

    async def attestations(self, ref: str, platform: str | None, **options: Any) -> Any:
        return [ref, platform, options]

    def history(self, ref: str, platform: str | None = None) -> Any:
        return [platform]

    async def remove(self, ref: str, **options: Any) -> Any:
        self.calls.append(options["platforms"])
        return []

    def tag(self, *args: str) -> None:
        self.calls.append(args)

    async def load(
        self, chunks: AsyncIterator[bytes], *, quiet: bool, platforms: Any
    ) -> AsyncIterator[Any]:
        self.calls.append(platforms)
        size = 0
        async for chunk in chunks:
            size += len(chunk)
        if size == 3:
            raise InvalidParameter("not an archive")
        yield {"stream": f"Loaded {size}\n"}
        if size == 4:
            raise InvalidParameter("broken off")

    async def save(self, refs: Any, *, platforms: Any) -> AsyncIterator[bytes]:
        self.calls.append(platforms)
        if "missing" in refs:
            raise NotFound("No such image: missing")
        yield b"tar"

    async def import_image(self, chunks: AsyncIterator[bytes], **options: Any) -> str:
        self.calls.append((b"".join([chunk async for chunk in chunks]), options))
        return "sha256:new"

    async def bootstrap(self, spec: str, **options: Any) -> AsyncIterator[Any]:
        self.calls.append((spec, options))
        yield {"status": "done"}


async def test_images(tmp_path: Path) -> None:
    images = Images()
    async with serving(fake_engine(tmp_path, images=images), tmp_path) as ask:
        listed = await ask("GET", "/v1.40/images/json?filter=busy*&all=1")
        assert listed.json()[0]["RepoTags"] == ["<none>:<none>"]
        assert images.calls[0][0] == {"reference": ["busy*"]}
        assert (await ask("GET", "/images/a/b:c/json")).json()["Id"] == "a/b:c"
        assert (await ask("GET", "/images/missing/json")).status == 404
        wrong = '/images/a/json?platform={"os":"linux","architecture":"s390x"}'
        assert (await ask("GET", wrong)).status == 404
        assert (await ask("POST", "/images/a/tag?repo=r&tag=t")).status == 201
        assert images.calls[-1] == ("a", "r", "t")


async def test_platforms_and_manifests_by_version(tmp_path: Path) -> None:
    images = Images()
    arm = '{"os":"linux","architecture":"arm64"}'
    async with serving(fake_engine(tmp_path, images=images), tmp_path) as ask:
        for version, options in ((46, {}), (47, {"manifests": True})):
            await ask("GET", f"/v1.{version}/images/json?manifests=1")
            assert images.calls[-1][1]["manifests"] == options.get("manifests", False)
        await ask("GET", f"/v1.48/images/a/json?platform={arm}&manifests=1")
        assert images.calls[-1] == (None, True), "platform came with 1.49"
        await ask("GET", f"/v1.49/images/a/json?platform={arm}")
        assert images.calls[-1] == ("linux/arm64", False)
        both = await ask("GET", f"/v1.49/images/a/json?platform={arm}&manifests=1")
        assert both.status == 400 and "conflicting options" in both.message
        assert (await ask("GET", f"/v1.47/images/a/history?platform={arm}")).json() == [None]
        assert (await ask("GET", f"/v1.48/images/a/history?platform={arm}")).json() == [
            "linux/arm64"
        ]
        for path in ("/images/get?names=a&", "/images/a/get?"):
            await ask("GET", f"/v1.47{path}platform={arm}")
            assert images.calls[-1] == []
            await ask("GET", f"/v1.48{path}platform={arm}")
            assert images.calls[-1] == ["linux/arm64"]
            two = f"{path}platform={arm}&platform=linux/amd64"
            refused = await ask("GET", f"/v1.51{two}")
            assert refused.status == 400 and "use API version 1.52" in refused.message
            await ask("GET", f"/v1.52{two}")
            assert images.calls[-1] == ["linux/arm64", "linux/amd64"]
        await ask("POST", f"/v1.48/images/load?platform={arm}", b"12345")
        assert images.calls[-1] == ["linux/arm64"]
        await ask("DELETE", f"/v1.50/images/a?platforms={arm}")
        assert images.calls[-1] == ["linux/arm64"]


async def test_load_and_its_errors(tmp_path: Path) -> None:
    async with serving(fake_engine(tmp_path, images=Images()), tmp_path) as ask:
        good = await ask("POST", "/images/load", b"12345")
        assert good.body == b'{"stream":"Loaded 5\\n"}\n'
        early = await ask("POST", "/images/load", b"123")
        assert (early.status, early.message) == (400, "not an archive")
        late = await ask("POST", "/images/load", b"1234")
        assert late.status == 200
        assert b'"errorDetail":{"code":400,"message":"broken off"}' in late.body


async def test_save(tmp_path: Path) -> None:
    async with serving(fake_engine(tmp_path, images=Images()), tmp_path) as ask:
        assert (await ask("GET", "/images/get?names=a&names=b")).body == b"tar"
        assert (await ask("GET", "/images/a/get")).headers["content-type"] == "application/x-tar"
        assert (await ask("GET", "/images/get?names=missing")).status == 404
        assert (await ask("GET", "/images/get")).status == 400


async def test_import(tmp_path: Path) -> None:
    images = Images()
    async with serving(fake_engine(tmp_path, images=images), tmp_path) as ask:
        made = await ask(
            "POST", "/images/create?fromSrc=-&repo=r&tag=t&changes=CMD+sh", b"tar bytes"
        )
        assert made.json() == {"status": "sha256:new"}
        assert images.calls[-1][0] == b"tar bytes"
        assert images.calls[-1][1]["changes"] == ["CMD sh"]
        assert images.calls[-1][1]["message"] == "Imported from -"
        assert (await ask("POST", "/images/create")).status == 400


async def test_bootstrap(tmp_path: Path) -> None:
    images = Images()
    async with serving(fake_engine(tmp_path, images=images), tmp_path) as ask:
        await ask("POST", "/pierhead/images/bootstrap?spec=busybox&packages=a,b")
        assert images.calls[-1][0] == "busybox"
        assert images.calls[-1][1]["packages"] == ["a", "b"]
        await ask("POST", "/pierhead/images/bootstrap", {"Spec": "debian:trixie", "Variant": "m"})
        assert images.calls[-1][0] == "debian:trixie" and images.calls[-1][1]["variant"] == "m"
        assert (await ask("POST", "/pierhead/images/bootstrap")).status == 400


async def test_attestations(tmp_path: Path) -> None:
    async with serving(fake_engine(tmp_path, images=Images()), tmp_path) as ask:
        answer = await ask("GET", "/images/a/attestations?type=x&type=y&statement=1")
        assert answer.json() == ["a", None, {"types": ["x", "y"], "whole": True}]
        arm = '%7B"os":"linux","architecture":"arm64"%7D'
        answer = await ask("GET", f"/images/a/attestations?platform={arm}")
        assert answer.json() == ["a", "linux/arm64", {"types": [], "whole": False}]
        answer = await ask("GET", f"/images/a/attestations?platform={arm}&platform={arm}")
        assert answer.status == 400
