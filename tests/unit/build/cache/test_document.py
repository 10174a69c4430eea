from __future__ import annotations

import json
from typing import Any

import pytest

from pierhead.build.cache import document as documents
from pierhead.build.cache.document import CachedLayer, CachedMount, CacheDocument
from pierhead.errors import InvalidParameter
from pierhead.oci.digest import ChainId, DiffId, chain_ids, sha256
from pierhead.oci.manifest import Descriptor

DIFFS = [DiffId(sha256(bytes([n]))) for n in range(3)]
CHAINS = chain_ids(DIFFS)


def blob(n: int) -> Descriptor:
    return Descriptor(media_type="layer", digest=sha256(b"blob%d" % n), size=n)


def sample() -> CacheDocument:
    document = CacheDocument()
    parent: ChainId | None = None
    for n, (diff_id, chain_id) in enumerate(zip(DIFFS, CHAINS, strict=True)):
        document.layers[chain_id] = CachedLayer(diff_id, parent, blob(n))
        parent = chain_id
    document.records = {"k0": None, "k1": CHAINS[0], "k3": CHAINS[2]}
    document.created = {"k1": 5}
    document.mounts = [CachedMount("id", "/root/.cache", blob(9))]
    return document


def test_it_comes_back_as_it_went() -> None:
    config, layers = sample().encode()
    assert [each.digest for each in layers] == [blob(n).digest for n in (0, 1, 2, 9)]
    assert documents.decode(config, layers) == sample()


def test_equal_blobs_are_listed_once() -> None:
    document = sample()
    document.layers[CHAINS[1]] = CachedLayer(DIFFS[1], CHAINS[0], blob(0))
    _, layers = document.encode()
    assert len(layers) == 3


def broken(change: dict[str, Any]) -> bytes:
    config, _ = sample().encode()
    return json.dumps(json.loads(config) | change).encode()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        broken({"version": 2}),
        broken({"layers": [{"diff_id": "x", "parent": -1, "blob": 0}]}),
        broken({"layers": [{"diff_id": DIFFS[0], "parent": 0, "blob": 0}]}),
        broken({"layers": [{"diff_id": DIFFS[0], "parent": -1, "blob": 99}]}),
        broken({"layers": [{"diff_id": DIFFS[0], "parent": -1, "blob": -1}]}),
        broken({"records": [["k", 7, 0]]}),
        broken({"records": [["k", -2, 0]]}),
        broken({"records": ["k"]}),
        broken({"records": [["k", -1, -5]]}),
        broken({"mounts": [{"name": "x"}]}),
    ],
)
def test_what_is_broken_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidParameter):
        documents.decode(data, sample().encode()[1])


def image_config(cache: Any) -> bytes:
    return json.dumps({"rootfs": {"diff_ids": DIFFS[:2]}, documents.INLINE_FIELD: cache}).encode()


def test_inline() -> None:
    keys = [("a", None), ("b", CHAINS[0]), ("c", CHAINS[1]), ("other", CHAINS[2])]
    cache = documents.inline(CHAINS[:2], keys, {"b": 7})
    assert cache["records"] == [["a", -1, 0], ["b", 0, 7], ["c", 1, 0]]
    found = documents.decode_inline(image_config(cache), [blob(0), blob(1)])
    assert found is not None
    assert found.records == {"a": None, "b": CHAINS[0], "c": CHAINS[1]}
    assert found.layers[CHAINS[1]] == CachedLayer(DIFFS[1], CHAINS[0], blob(1))


def test_no_inline_cache() -> None:
    assert documents.decode_inline(b"{}", []) is None
    with pytest.raises(InvalidParameter):
        documents.decode_inline(image_config({"version": 1, "records": []}), [blob(0)])
    with pytest.raises(InvalidParameter):
        documents.decode_inline(image_config({"version": 1, "records": 3}), [blob(0), blob(1)])


def test_min_takes_what_the_images_have() -> None:
    keys = [("a", None), ("b", CHAINS[0]), ("c", CHAINS[2])]
    assert documents.chosen(keys, [CHAINS[:1]], "min") == {"a": None, "b": CHAINS[0]}
    assert documents.chosen(keys, [CHAINS[:1]], "max") == dict(keys)
