"""Flags and daemon.json: dockerd's names, its rules, every fault at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pierhead.daemon import configuration
from pierhead.daemon.configuration import ConfigurationError, load, usage


def file(tmp_path: Path, content: Any) -> str:
    path = tmp_path / "daemon.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return f"--config-file={path}"


def faults(*argv: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        load(argv)
    return caught.value.faults


@pytest.fixture(autouse=True)
def no_file_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(configuration, "DEFAULT_CONFIG_FILE", "/nonexistent/daemon.json")


def test_flags_in_all_their_forms() -> None:
    found = load(
        ["-D", "-H", "unix:///a", "--host=tcp://b", "-Hfd://", "-l=warn", "--mtu", "1400",
         "--icc=false", "--label", "a=b", "--log-opt", "max-size=1m", "--log-opt=max-file=2"]
    )  # fmt: skip
    assert found["debug"] is True
    assert found["hosts"] == ["unix:///a", "tcp://b", "fd://"]
    assert (found["log-level"], found["mtu"], found["icc"]) == ("warn", 1400, False)
    assert found["labels"] == ["a=b"]
    assert found["log-opts"] == {"max-size": "1m", "max-file": "2"}


def test_defaults() -> None:
    found = load([])
    assert found["hosts"] == ["unix:///run/pierhead.sock"]
    assert found["bridge"] == "pier0"
    assert found["tlscacert"] == "/etc/pierhead/ca.pem"


def test_file_and_flags_merge(tmp_path: Path) -> None:
    config = file(
        tmp_path,
        {
            "data-root": "/d",
            "hosts": ["unix:///x"],
            "default-ulimits": {"nofile": {"Name": "nofile", "Hard": 9, "Soft": 5}},
            "default-address-pools": [{"base": "172.80.0.0/16", "size": 24}],
            "default-shm-size": "1G",
            "runtimes": {"runc": {"path": "/usr/sbin/runc"}},
        },
    )
    found = load([config, "--add-runtime", "my=/usr/bin/my", "--debug"])
    assert found["data-root"] == "/d"
    assert found["default-ulimits"] == {"nofile": (5, 9)}
    assert found["default-address-pools"] == [("172.80.0.0/16", 24)]
    assert found["default-shm-size"] == 1 << 30
    assert found["runtimes"] == {"runc": "/usr/sbin/runc", "my": "/usr/bin/my"}


def test_unknown_keys_and_doubles_are_errors(tmp_path: Path) -> None:
    config = file(tmp_path, {"nonsense": 1, "labels": ["a=b"], "debug": True})
    found = faults(config, "--label", "c=d")
    assert any("don't match any configuration option: nonsense" in line for line in found)
    assert any(
        "both as a flag and in the configuration file: labels: (from flag: ['c=d'], "
        "from file: ['a=b'])" in line
        for line in found
    )


def test_every_fault_at_once(tmp_path: Path) -> None:
    config = file(tmp_path, {"mtu": "x", "debug": 1, "what": 2, "labels": ["bad label"]})
    found = faults(config, "--foo", "--ip", "1.2.3", "-H", "http://x", "--log-level", "loud")
    for words in (
        "unknown flag: --foo", "invalid argument for --log-level", "mtu: expected an integer",
        "debug: expected true or false", "configuration option: what", "invalid labels",
        "invalid ip", "invalid host 'http://x'",
    ):  # fmt: skip
        assert any(words in line for line in found), (words, found)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "invalid JSON"),
        ("[]", "expected a JSON object"),
        ('{"debug": true, "debug": false}', "debug is given more than once"),
        ('{"hosts": "unix:///x"}', "hosts: expected a list of strings"),
        ('{"runtimes": {"x": {}}}', "runtime x needs a path"),
        ('{"bip": "10.0.0.0/24"}', "invalid bip"),
        ('{"default-runtime": "gvisor"}', "default runtime 'gvisor' does not exist"),
        ('{"userns-remap": "default"}', "userns-remap is not supported"),
        ('{"labels": ["a=1", "a=2"]}', "conflict labels for a"),
        ('{"mtu": 70000}', "invalid mtu"),
        ('{"storage-driver": "btrfs"}', "storage-driver"),
    ],
)
def test_bad_files(tmp_path: Path, content: str, words: str) -> None:
    assert any(words in line for line in faults(file(tmp_path, content)))


def test_a_missing_file_matters_only_when_named() -> None:
    assert load([])
    assert any("No such file" in line for line in faults("--config-file=/nonexistent/x.json"))


def test_without_effect_is_a_warning(tmp_path: Path) -> None:
    found = load([file(tmp_path, {"live-restore": True, "features": {"buildkit": True}})])
    assert len(found.warnings) == 2
    assert "containers always outlive pierd" in found.warnings[0]


def test_refused_only_if_asked_for(tmp_path: Path) -> None:
    assert load([file(tmp_path, {"selinux-enabled": False, "authorization-plugins": []})])


def test_missing_values_and_arguments() -> None:
    assert faults("--mtu") == ["flag needs an argument: --mtu"]
    assert faults("run") == ["unexpected argument: run: pierd takes only flags"]
    assert faults("-x") == ["unknown flag: -x"]


def test_usage_names_every_working_flag() -> None:
    text = usage()
    assert "-H, --host list" in text and "--tlsverify" in text
    assert "userns-remap" not in text
    assert max(len(line) for line in text.splitlines()) < 120
