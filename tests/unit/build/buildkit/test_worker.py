"""What the builder says of itself."""

from __future__ import annotations

import hashlib

from pierhead.build.buildkit import messages, worker
from pierhead.oci.platform import Platform


def test_the_worker() -> None:
    record = worker.record(
        worker_id="id",
        hostname="h",
        snapshotter="erofs",
        gateway="10.0.0.1",
        platforms=[Platform("linux", "arm", "v7")],
    )
    assert record.Labels["org.mobyproject.buildkit.worker.snapshotter"] == "erofs"
    assert record.Labels["org.mobyproject.buildkit.worker.moby.host-gateway-ip"] == "10.0.0.1"
    (platform,) = record.platforms
    assert (platform.OS, platform.Architecture, platform.Variant) == ("linux", "arm", "v7")
    assert record.BuildkitVersion.version.startswith("v0.")


def test_capabilities() -> None:
    caps = worker.capabilities(worker.LLB_CAPS)
    assert all(cap.Enabled for cap in caps)
    assert len({cap.ID for cap in caps}) == len(caps)
    assert not any(cap.ID.startswith("source.policy") for cap in caps)


def test_a_result_as_a_definition() -> None:
    """As Go's NewDefinitionOp wants it: the last operation names another one, which is there."""
    definition = worker.definition_of("abc")
    body, end = getattr(definition, "def")
    (named,) = messages.get("pb.Op").FromString(end).inputs
    assert named.digest == "sha256:" + hashlib.sha256(body).hexdigest()
    assert named.digest in definition.metadata
    assert worker.sources_of(definition) == [(worker.RESULT_SCHEME + "abc", {})]


def test_more_than_sources() -> None:
    definition = worker.definition_of("abc")
    unknown = messages.get("pb.Op").FromString(b"\x12\x00")  # an ExecOp
    getattr(definition, "def").append(unknown.SerializeToString())
    assert worker.sources_of(definition) == []
