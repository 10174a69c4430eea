"""Images: list, inspect, tag, remove, import, load, save, commit, history, prune."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.command import Command
from support.http import Api

Unique = Callable[[str], str]


def rootfs(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for path, data in files.items():
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(data), 0o755
            tar.addfile(entry, io.BytesIO(data))
    return out.getvalue()


@pytest.fixture
def image(docker: Command, unique: Unique) -> str:
    """A small image of its own, with one layer."""
    ref = f"{unique('img')}:one"
    docker("import", "-", ref, input=rootfs({"file": ref.encode()}))
    return ref


class TestListInspectTag:
    def test_list(self, cli: Command, image: str) -> None:
        table = cli("image", "ls", image).lines
        assert table[0].split() == ["REPOSITORY", "TAG", "IMAGE", "ID", "CREATED", "SIZE"]
        repo, tag = image.split(":")
        assert re.match(rf"{repo} +{tag} +[0-9a-f]{{12}} +.* ago +\S+B$", table[1]), table
        assert cli("images", "-q", image).out in cli("images", "-q").lines
        assert re.fullmatch(r"sha256:[0-9a-f]{64}", cli("images", "-q", "--no-trunc", image).out)

    def test_filters(self, docker: Command, unique: Unique) -> None:
        ref = f"{unique('labelled')}:1"
        docker("import", "-c", "LABEL who=me", "-", ref, input=rootfs({"f": unique().encode()}))
        show = ("images", "--format", "{{.Repository}}:{{.Tag}}", "-f")
        assert docker(*show, "label=who=me").lines == [ref]
        assert docker(*show, f"reference={ref.split(':')[0]}").lines == [ref]
        assert ref in docker(*show, "since=busybox").lines
        assert ref not in docker(*show, "before=busybox").lines
        assert ref not in docker(*show, "dangling=true").lines
        docker.fails("images", "-f", "colour=blue").says("invalid filter")

    def test_inspect(self, cli: Command, image: str) -> None:
        got = json.loads(cli("image", "inspect", image).stdout)[0]
        assert got["RepoTags"] == [image]
        assert got["Id"].startswith("sha256:")
        assert got["Os"] == "linux"
        assert got["Architecture"] in ("amd64", "arm64")
        assert got["RootFS"]["Type"] == "layers"
        assert len(got["RootFS"]["Layers"]) == 1
        assert got["Size"] > 0
        assert cli("image", "inspect", "-f", "{{.Os}}", image).out == "linux"

    def test_inspect_unknown(self, cli: Command) -> None:
        done = cli.fails("image", "inspect", "no-such-image", code=1)
        done.says("No such image: no-such-image")

    def test_history(self, cli: Command, image: str) -> None:
        lines = cli("history", image).lines
        assert lines[0].split()[:2] == ["IMAGE", "CREATED"]
        assert "Imported from -" in lines[1]

    def test_tag_and_untag(self, cli: Command, image: str, unique: Unique) -> None:
        other = f"{unique('tagged')}:v2"
        cli("tag", image, other)
        assert cli("images", "-q", other).out == cli("images", "-q", image).out
        done = cli("rmi", other)
        assert done.lines == [f"Untagged: {other}"]
        cli("image", "inspect", image)

    def test_tag_without_tag_is_latest(self, docker: Command, image: str, unique: Unique) -> None:
        repo = unique("plain")
        docker("tag", image, repo)
        assert docker("images", "--format", "{{.Tag}}", repo).out == "latest"
        docker("tag", image, f"localhost:5000/{repo}")
        docker("image", "inspect", f"localhost:5000/{repo}:latest")

    def test_bad_names(self, cli: Command, image: str) -> None:
        for bad in ("UPPER", "a b", "a:b:c", "-x/y"):
            done = cli.fails("tag", "--", image, bad)
            assert "invalid reference format" in done.stderr or "not a valid" in done.stderr, done
        cli.fails("tag", "nothing", "something").says("No such image: nothing")

    def test_all_names_of_a_list(self, docker: Command) -> None:
        ids = docker(
            "image", "inspect", "-f", "{{.Id}}", "busybox", "docker.io/library/busybox:latest"
        )
        assert len(set(ids.lines)) == 1


class TestRemovePrune:
    def test_remove(self, cli: Command, image: str) -> None:
        full = cli("images", "-q", "--no-trunc", image).out
        done = cli("rmi", image)
        assert done.lines[0] == f"Untagged: {image}"
        assert f"Deleted: {full}" in done.lines
        cli.fails("rmi", image, code=1).says("No such image")

    def test_in_use_by_a_stopped_container(self, cli: Command, name: str, unique: Unique) -> None:
        ref = f"{unique('used')}:1"
        cli("tag", "busybox", ref)
        # the only name left: removing it would remove the image
        only = f"{unique('only')}:1"
        cli("run", "--name", f"{name}-src", "busybox", "touch", "/x")
        cli("commit", f"{name}-src", only)
        container = cli("create", "--name", name, only, "true").out
        done = cli.fails("rmi", only, code=1)
        done.says("conflict: unable to remove repository reference", "(must force)", container[:12])
        cli("rm", name)
        cli("rmi", only)
        cli("rmi", ref)

    def test_in_use_by_a_running_container(
        self, docker: Command, name: str, unique: Unique
    ) -> None:
        ref = f"{unique('busy')}:1"
        docker("run", "--name", f"{name}-src", "busybox", "touch", "/x")
        full = docker("commit", f"{name}-src", ref).out
        docker("run", "-d", "--name", name, ref, "sleep", "1000")
        done = docker.fails("rmi", "-f", full, code=1)
        done.says("cannot be forced", "image is being used by running container")
        docker("rm", "-f", name)
        docker("rmi", ref)

    def test_force_with_a_stopped_container(self, docker: Command, name: str, image: str) -> None:
        docker("create", "--name", name, image, "/file")
        docker("rmi", "-f", image)
        assert image not in docker("images", "--format", "{{.Repository}}:{{.Tag}}").lines

    def test_several_names_by_id(self, docker: Command, image: str, unique: Unique) -> None:
        docker("tag", image, f"{unique('second')}:1")
        full = docker("images", "-q", "--no-trunc", image).out
        docker.fails("rmi", full, code=1).says("image is referenced in multiple repositories")
        docker("rmi", "-f", full)

    def test_prune_dangling(self, cli: Command, unique: Unique) -> None:
        ref = f"{unique('pruned')}:1"
        first = cli("import", "-", ref, input=rootfs({"a": ref.encode()})).out
        cli("import", "-", ref, input=rootfs({"b": ref.encode()}))
        done = cli("image", "prune", "-f")
        assert first in done.stdout
        assert "Total reclaimed space: " in done.stdout
        assert "busybox" in cli("images").stdout
        cli("rmi", ref)


class TestImport:
    def test_with_changes(self, cli: Command, unique: Unique, tmp_path: Path) -> None:
        ref = f"{unique('imported')}:1"
        file = tmp_path / "root.tar"
        file.write_bytes(rootfs({"bin/app": b"#!/bin/false\n"}))
        changes = [
            "ENV A=1 B=2",
            'CMD ["/bin/app"]',
            "ENTRYPOINT /bin/sh",
            "EXPOSE 80 53/udp",
            "VOLUME /data",
            "WORKDIR /srv",
            "USER nobody",
            "LABEL k=v",
        ]
        flags = [part for change in changes for part in ("-c", change)]
        cli("import", *flags, "-m", "note", str(file), ref)
        config = json.loads(cli("image", "inspect", "-f", "{{json .Config}}", ref).out)
        assert {"A=1", "B=2"} <= set(config["Env"])
        assert config["Cmd"] == ["/bin/app"]
        assert config["Entrypoint"] == ["/bin/sh", "-c", "/bin/sh"]
        assert set(config["ExposedPorts"]) == {"80/tcp", "53/udp"}
        assert set(config["Volumes"]) == {"/data"}
        assert (config["WorkingDir"], config["User"]) == ("/srv", "nobody")
        assert config["Labels"] == {"k": "v"}
        assert "note" in cli("history", "--no-trunc", ref).stdout
        cli("rmi", ref)

    def test_a_bad_change(self, docker: Command) -> None:
        docker.fails("import", "-c", "RUN true", "-", "x:1", input=rootfs({"a": b"x"})).says(
            "run is not a valid change command"
        )

    @pytest.mark.parametrize("pack", ["gzip", "bzip2", "xz"])
    def test_compressed(self, docker: Command, unique: Unique, pack: str) -> None:
        data = subprocess.run([pack, "-c"], input=rootfs({"a": b"x"}), capture_output=True).stdout
        ref = f"{unique('packed')}:1"
        docker("import", "-", ref, input=data)
        docker("rmi", ref)

    def test_garbage(self, docker: Command) -> None:
        docker.fails("import", "-", "garbage:1", input=b"no tar at all" * 1000)
        assert "garbage" not in docker("images").stdout

    def test_a_truncated_tar_leaves_nothing(self, docker: Command, api: Api) -> None:
        whole = gzip.compress(rootfs({"a": b"x" * 100_000}))
        docker.fails("import", "-", "cut:1", input=whole[: len(whole) // 2])
        assert "cut" not in docker("images").stdout


class TestSaveLoad:
    def test_round_trip(self, cli: Command, unique: Unique, tmp_path: Path) -> None:
        ref = f"{unique('saved')}:1"
        cli("run", "--name", unique("x"), "busybox", "true")
        cli("tag", "busybox", ref)
        file = tmp_path / "image.tar"
        cli("save", "-o", str(file), ref)
        with tarfile.open(file) as tar:
            names = tar.getnames()
            assert "manifest.json" in names
            manifest = json.load(tar.extractfile("manifest.json"))  # type: ignore[arg-type]
            assert manifest[0]["RepoTags"] == [ref]
            assert all(layer in names for layer in manifest[0]["Layers"])
            config = tar.extractfile(manifest[0]["Config"]).read()  # type: ignore[union-attr]
        full = cli("image", "inspect", "-f", "{{.Id}}", ref).out
        assert full == "sha256:" + hashlib.sha256(config).hexdigest()
        cli("rmi", ref)
        assert cli("load", "-i", str(file)).out == f"Loaded image: {ref}"
        assert cli("image", "inspect", "-f", "{{.Id}}", ref).out == full
        assert cli("run", "--rm", ref, "echo", "works").out == "works"

    def test_through_a_pipe_compressed(self, docker: Command, image: str) -> None:
        data = docker("save", image).stdout_bytes
        docker("rmi", image)
        assert docker("load", input=gzip.compress(data)).out == f"Loaded image: {image}"
        docker("image", "inspect", image)

    def test_several_images(self, docker: Command, unique: Unique) -> None:
        refs = []
        for number in range(2):
            ref = f"{unique('multi')}:1"
            docker("import", "-", ref, input=rootfs({f"f{number}": ref.encode()}))
            refs.append(ref)
        data = docker("save", *refs).stdout_bytes
        docker("rmi", *refs)
        done = docker("load", input=data)
        assert sorted(done.lines) == sorted(f"Loaded image: {ref}" for ref in refs)

    def test_by_id_without_name(self, docker: Command, image: str) -> None:
        full = docker("images", "-q", "--no-trunc", image).out
        data = docker("save", full).stdout_bytes
        docker("rmi", image)
        assert docker("load", input=data).out == f"Loaded image ID: {full}"

    def test_unknown(self, cli: Command) -> None:
        cli.fails("save", "no-such-image").says("No such image: no-such-image")

    def test_garbage(self, docker: Command) -> None:
        docker.fails("load", input=b"garbage" * 1000)
        docker.fails("load", input=rootfs({"not-an-image": b"x"}))

    def test_a_layer_that_is_not_what_it_says(self, docker: Command, image: str) -> None:
        """A changed layer under an unchanged config must not become an image."""
        data = docker("save", image).stdout_bytes
        docker("rmi", image)
        out = io.BytesIO()
        with (
            tarfile.open(fileobj=io.BytesIO(data)) as old,
            tarfile.open(fileobj=out, mode="w") as new,
        ):
            manifest = json.load(old.extractfile("manifest.json"))  # type: ignore[arg-type]
            for member in old.getmembers():
                source = old.extractfile(member) if member.isreg() else None
                body = source.read() if source else b""
                if member.name in manifest[0]["Layers"]:
                    body = rootfs({"file": b"evil"})
                    member.size = len(body)
                new.addfile(member, io.BytesIO(body))
        docker.fails("load", input=out.getvalue())
        assert image not in docker("images", "--format", "{{.Repository}}:{{.Tag}}").lines

    def test_oci_layout(self, docker: Command, engine: Any, unique: Unique) -> None:
        """An OCI image layout, as buildx and skopeo write it."""
        if not engine.is_pierd:
            pytest.skip("dockerd before 25 does not load OCI layouts")
        layer = rootfs({"from-oci": b"x"})
        packed = gzip.compress(layer)
        blobs: dict[str, bytes] = {}

        def blob(data: bytes, media: str) -> dict[str, Any]:
            digest = hashlib.sha256(data).hexdigest()
            blobs[f"blobs/sha256/{digest}"] = data
            return {"mediaType": media, "digest": f"sha256:{digest}", "size": len(data)}

        base = "application/vnd.oci.image"
        config = {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Cmd": ["/from-oci"]},
            "rootfs": {
                "type": "layers",
                "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()],
            },
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": f"{base}.manifest.v1+json",
            "config": blob(json.dumps(config).encode(), f"{base}.config.v1+json"),
            "layers": [blob(packed, f"{base}.layer.v1.tar+gzip")],
        }
        entry = blob(json.dumps(manifest).encode(), f"{base}.manifest.v1+json")
        ref = f"{unique('oci')}:1"
        entry["annotations"] = {"io.containerd.image.name": f"docker.io/library/{ref}"}
        index = {"schemaVersion": 2, "manifests": [entry]}
        files = {
            "oci-layout": b'{"imageLayoutVersion":"1.0.0"}',
            "index.json": json.dumps(index).encode(),
        }
        assert f"Loaded image: {ref}" in docker("load", input=rootfs({**files, **blobs})).stdout
        assert docker("image", "inspect", "-f", "{{.Config.Cmd}}", ref).out == "[/from-oci]"

    def test_interchange_with_podman(self, docker: Command, image: str, tmp_path: Path) -> None:
        if not shutil.which("podman"):
            pytest.skip("podman is not installed")
        file = tmp_path / "image.tar"
        docker("save", "-o", str(file), image)
        short = Path(tempfile.mkdtemp(prefix="pm", dir="/var/tmp"))  # podman's limit: 50 characters
        root = ("podman", "--root", str(short / "root"), "--runroot", str(short / "run"))
        podman = (*root, "--storage-driver", "vfs")
        loaded = subprocess.run([*podman, "load", "-i", str(file)], capture_output=True, text=True)
        assert loaded.returncode == 0, loaded.stderr
        docker("rmi", image)
        back = tmp_path / "back.tar"
        for kind in ("docker-archive", "oci-archive"):
            if (
                kind == "oci-archive"
                and docker("version", "-f", "{{.Server.Version}}").out[:3] == "20."
            ):
                continue
            back.unlink(missing_ok=True)
            saved = subprocess.run(
                [*podman, "save", "--format", kind, "-o", str(back), f"localhost/{image}"],
                capture_output=True,
                text=True,
            )
            if saved.returncode != 0:  # the name that podman gave it
                saved = subprocess.run(
                    [
                        *podman,
                        "save",
                        "--format",
                        kind,
                        "-o",
                        str(back),
                        f"docker.io/library/{image}",
                    ],
                    capture_output=True,
                    text=True,
                )
            assert saved.returncode == 0, saved.stderr
            docker("load", "-i", str(back))
        shutil.rmtree(short)


class TestCommit:
    def test_commit_and_run(self, cli: Command, name: str, unique: Unique) -> None:
        ref = f"{unique('committed')}:1"
        cli("run", "--name", name, "busybox", "sh", "-c", "echo kept > /kept; rm -rf /home")
        full = cli(
            *("commit", "-a", "me", "-m", "my message", "-c", 'CMD ["cat", "/kept"]'),
            *("-c", "ENV X=y", name, ref),
        ).out
        assert re.fullmatch(r"sha256:[0-9a-f]{64}", full)
        assert cli("run", "--rm", ref).out == "kept"
        assert cli("run", "--rm", ref, "sh", "-c", "ls -d /home 2>/dev/null; echo $X").out == "y"
        got = json.loads(cli("image", "inspect", ref).stdout)[0]
        assert (got["Author"], got["Comment"]) == ("me", "my message")
        base = json.loads(cli("image", "inspect", "busybox").stdout)[0]
        assert got["RootFS"]["Layers"][:-1] == base["RootFS"]["Layers"]
        assert got["Parent"] in ("", base["Id"])

    def test_commit_of_a_running_container(
        self, docker: Command, name: str, unique: Unique
    ) -> None:
        ref = f"{unique('live')}:1"
        docker("run", "-d", "--name", name, "busybox", "sh", "-c", "echo x > /x; sleep 1000")
        docker("exec", name, "sh", "-c", "while ! test -s /x; do sleep 0.02; done")
        docker("commit", name, ref)
        assert docker("inspect", "-f", "{{.State.Status}}", name).out == "running"
        assert docker("run", "--rm", ref, "cat", "/x").out == "x"

    def test_a_chain_of_commits(self, docker: Command, unique: Unique) -> None:
        parent = "busybox"
        for number in range(4):
            container, ref = unique("link"), f"{unique('chain')}:1"
            step = f"echo {number} >> /steps; rm -rf /dir; mkdir /dir; touch /dir/{number}"
            docker("run", "--name", container, parent, "sh", "-c", step)
            docker("commit", container, ref)
            parent = ref
        done = docker("run", "--rm", parent, "sh", "-c", "cat /steps; ls /dir")
        assert done.lines == ["0", "1", "2", "3", "3"]

    def test_unknown(self, cli: Command) -> None:
        cli.fails("commit", "nobody", "x:1").says("No such container: nobody")


class TestBootstrap:
    def test_busybox_is_reproducible(self, engine: Any, pier: Command) -> None:
        if not engine.is_pierd:
            pytest.skip("a command of pier")
        first = pier("image", "inspect", "-f", "{{.Id}}", "busybox").out
        pier("image", "bootstrap", "busybox", timeout_s=120)
        assert pier("image", "inspect", "-f", "{{.Id}}", "busybox").out == first

    def test_unknown_distribution(self, engine: Any, pier: Command) -> None:
        if not engine.is_pierd:
            pytest.skip("a command of pier")
        pier.fails("image", "bootstrap", "plan9:4e")
