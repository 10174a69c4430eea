from __future__ import annotations

import json
from pathlib import Path

from support.fake_cli import run

from .conftest import Keep


def test_a_list_kept_here_counts_before_the_registry(keep: Keep, tmp_path: Path) -> None:
    record = keep("app:1", "app:arm", "arm")
    result = run("manifest inspect app:1", config_dir=str(tmp_path))
    assert result.code == 0 and result.out.startswith('{\n   "schemaVersion": 2,\n')
    (entry,) = json.loads(result.out)["manifests"]
    assert entry["digest"] == record.digest
    assert entry["platform"] == {"architecture": "arm", "os": "linux"}
    verbose = run("manifest inspect -v app:1", config_dir=str(tmp_path))
    assert verbose.out.startswith('[\n\t{\n\t\t"Ref": "docker.io/library/app:arm",\n')


def test_one_image_of_a_list(keep: Keep, tmp_path: Path) -> None:
    record = keep("app:1", "app:arm")
    result = run("manifest inspect app:1 app:arm", config_dir=str(tmp_path))
    assert json.loads(result.out) == record.document
    assert result.out.startswith('{\n\t"config": {\n')
    verbose = run("manifest inspect --verbose app:1 app:arm", config_dir=str(tmp_path))
    assert verbose.out.startswith('{\n\t"Ref": "docker.io/library/app:arm",\n\t"Descriptor": {\n')
    missing = run("manifest inspect app:1 app:x", config_dir=str(tmp_path))
    assert (missing.code, missing.err) == (1, "No such manifest: docker.io/library/app:x\n")
