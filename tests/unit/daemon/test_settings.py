"""The engine's settings at start and at a reload."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pierhead.daemon.configuration import ConfigurationError, load
from pierhead.daemon.settings import proxies_of, reload, settings_of


def test_from_flags(tmp_path: Path) -> None:
    (tmp_path / "empty.json").write_text("")
    settings = settings_of(
        load(
            [
                f"--config-file={tmp_path}/empty.json",
                "--default-ulimit",
                "nofile=5:9",
                "--default-runtime",
                "runc",
                "--bridge",
                "br9",
            ]
        )
    )
    assert settings.default_ulimits["nofile"].hard == 9
    assert settings.runtimes == {"crun": "crun", "runc": "runc"}
    assert settings.bridge == "br9"
    assert settings.default_bind_address == "0.0.0.0"


def test_registries(tmp_path: Path) -> None:
    path = tmp_path / "daemon.json"
    path.write_text(json.dumps({
        "registry-mirrors-for": {"ghcr.io": ["http://mirror"]},
        "max-concurrent-downloads": 0,
        "proxies": {"https-proxy": "http://p:1"},
    }))  # fmt: skip
    configuration = load([f"--config-file={path}", "--max-download-attempts=2", "--no-proxy=x"])
    settings = settings_of(configuration)
    assert settings.registry_mirrors_for == {"ghcr.io": ["http://mirror"]}
    assert (settings.max_concurrent_downloads, settings.max_concurrent_uploads) == (3, 5)
    assert settings.max_download_attempts == 2
    assert proxies_of(configuration) == {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "x"}
    path.write_text('{"registry-mirrors-for": {"ghcr.io": ["nonsense"]}, "proxies": {"x": "y"}}')
    with pytest.raises(ConfigurationError) as caught:
        load([f"--config-file={path}", "--max-concurrent-uploads=-1"])
    assert len(caught.value.faults) == 3


def test_reload_changes_what_may_change(tmp_path: Path) -> None:
    path = tmp_path / "daemon.json"
    path.write_text("{}")
    configuration = load([f"--config-file={path}", "--log-level=warn"])
    settings = settings_of(configuration)
    path.write_text(
        json.dumps({"labels": ["a=b"], "debug": True, "bridge": "other", "log-level": "error"})
    )
    assert set(reload(configuration, settings)) == {"labels", "debug"}
    assert (settings.labels, settings.debug, settings.bridge) == (["a=b"], True, "pier0")
    assert configuration["log-level"] == "warn"  # a flag stays
    path.write_text("{}")
    assert set(reload(configuration, settings)) == {"labels", "debug"}
    assert settings.labels == []


def test_a_faulty_file_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "daemon.json"
    path.write_text('{"labels": ["a=b"]}')
    configuration = load([f"--config-file={path}"])
    settings = settings_of(configuration)
    for bad in ('{"labels": ["nonsense"]}', "{", '{"unknown": 1}'):
        path.write_text(bad)
        with pytest.raises(ConfigurationError):
            reload(configuration, settings)
        assert settings.labels == ["a=b"]
