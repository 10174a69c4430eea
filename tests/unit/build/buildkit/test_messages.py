"""Classes made of the table speak protobuf."""

from __future__ import annotations

from pierhead.build.buildkit import messages


def test_the_wire_is_protobufs() -> None:
    message = messages.get("moby.buildkit.v1.StatusRequest")(Ref="abc")
    assert message.SerializeToString() == b"\x0a\x03abc"


def test_maps_repeated_and_nested() -> None:
    kind = messages.get("moby.buildkit.v1.SolveRequest")
    message = kind(FrontendAttrs={"a": "b"}, Entitlements=["x", "y"])
    message.Cache.Exports.add(Type="inline", Attrs={"k": "v"})
    message.FrontendInputs["in"].metadata["d"].description["n"] = "t"
    again = kind.FromString(message.SerializeToString())
    assert dict(again.FrontendAttrs) == {"a": "b"}
    assert list(again.Entitlements) == ["x", "y"]
    assert again.Cache.Exports[0].Attrs["k"] == "v"
    assert again.FrontendInputs["in"].metadata["d"].description["n"] == "t"


def test_a_map_with_numbers_as_keys() -> None:
    kind = messages.get("moby.buildkit.v1.BuildResultInfo")
    message = kind()
    message.Results[7].digest = "d"
    assert kind.FromString(message.SerializeToString()).Results[7].digest == "d"


def test_timestamps() -> None:
    vertex = messages.get("moby.buildkit.v1.Vertex")()
    messages.timestamp(vertex.started, 1_500_000_000_123_456_789)
    assert (vertex.started.seconds, vertex.started.nanos) == (1_500_000_000, 123_456_789)
    assert messages.time_ns(vertex.started) == 1_500_000_000_123_456_789
    assert not vertex.HasField("completed")


def test_what_is_not_known_is_kept() -> None:
    newer = b"\x0a\x01r" + b"\xfa\x3f\x02hi"  # field 1023
    kind = messages.get("moby.buildkit.v1.StatusRequest")
    assert kind.FromString(newer).SerializeToString() == newer


def test_fields_of_a_row() -> None:
    fields = messages.fields_of("1 s a, 2 *pb.Op b, 3 {}b c, 4 {i}s d")
    assert [(field.name, field.type) for field in fields] == [
        ("a", "s"),
        ("b", "pb.Op"),
        ("c", "b"),
        ("d", "s"),
    ]
    assert [field.repeated for field in fields] == [False, True, False, False]
    assert [field.map_key for field in fields] == ["", "", "s", "i"]
