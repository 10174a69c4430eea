"""The notation of the field tables."""

from __future__ import annotations

from pierhead.cli.format.go_fields import FIELDS


def test_notation() -> None:
    for name, words in FIELDS.items():
        seen = set()
        for word in words.split():
            head, colon, kind = word.partition(":")
            assert colon and kind, (name, word)
            go_name = head.rstrip("?!").partition("=")[0]
            assert go_name[0].isupper() and go_name not in seen, (name, word)
            seen.add(go_name)


def test_names_that_differ() -> None:
    assert "ID=Id:string" in FIELDS["container.ContainerJSONBase"]
    assert "HostIP=HostIp:string" in FIELDS["nat.PortBinding"]
    assert "APIVersion=ApiVersion:string" in FIELDS["types.Version"]
