from __future__ import annotations

from pierhead.cli.format.listing import render
from pierhead.cli.format.volumes import HEADERS, VolumeRow, volume_format

VOLUME = {
    "Name": "data",
    "Driver": "local",
    "Labels": {"a": "1"},
    "UsageData": {"RefCount": 2, "Size": 1500},
}


def test_fields() -> None:
    source = '{{.Name}} {{.Driver}} {{.Labels}} {{.Label "a"}} {{.Links}} {{.Size}} {{.Status}}'
    assert render(source, [VolumeRow(VOLUME)], HEADERS) == "data local a=1 1 2 1.5kB N/A\n"
    assert render("{{.Links}} {{.Size}}", [VolumeRow({"Name": "x"})], HEADERS) == "N/A N/A\n"


def test_formats() -> None:
    assert volume_format("table", quiet=True) == "{{.Name}}"
    assert volume_format("raw", quiet=True) == "name: {{.Name}}"
    out = render(volume_format("raw", quiet=False), [VolumeRow(VOLUME)], HEADERS)
    assert out == "name: data\ndriver: local\n\n"
