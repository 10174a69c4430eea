"""Every row of the table makes a message, and no number is given twice."""

from __future__ import annotations

import pytest

from pierhead.build.buildkit import messages
from pierhead.build.buildkit.schema import PACKAGES

ROWS = [
    (package, line)
    for package, table in PACKAGES.items()
    for line in table.split("\n")
    if line.strip()
]


@pytest.mark.parametrize(("package", "line"), ROWS, ids=[row[1].split()[0] for row in ROWS])
def test_row(package: str, line: str) -> None:
    name, _, rest = line.partition(" ")
    fields = messages.fields_of(rest)
    assert len({field.number for field in fields}) == len(fields)
    kind = messages.get(f"{package}.{name}")
    assert {field.name for field in kind.DESCRIPTOR.fields} == {field.name for field in fields}
    assert kind.FromString(kind().SerializeToString()) == kind()
