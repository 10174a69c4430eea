"""Linters and type checker run as tests, and unit tests mirror the package."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "pierhead"
UNIT = ROOT / "tests" / "unit"

# Modules without a unit test of their own, and what exercises them instead. The list
# only shrinks: a new module brings its test.
ELSEWHERE: dict[str, str] = {
    "api/handlers/registry.py": "tests/integration/test_pull.py and tests/e2e/test_push.py",
    "build/export/model.py": "records; tests/unit/build/export makes them",
    "build/files/model.py": "records; tests/unit/build/files makes them",
    "build/model.py": "records; every door's tests make them",
    "api/context.py": "a record of the services; every API test builds one",
    "api/build/serving.py": "tests/unit/api/handlers/test_build.py, over HTTP",
    "api/build/session.py": "tests/unit/api/handlers/test_pierbuild.py, over HTTP",
    "api/build/shell.py": "tests/unit/api/handlers/test_pierbuild.py, over HTTP",
    "build/execute/attachments.py": "tests/integration/build/test_steps.py, on the real kernel",
    "build/execute/executor.py": "tests/integration/build/test_steps.py, on the real kernel",
    "build/execute/layers.py": "tests/integration/build/test_steps.py, on the real kernel",
    "build/execute/runner.py": "tests/integration/build/test_steps.py, on the real kernel",
    "build/execute/running.py": "tests/integration/build/test_steps.py, on the real kernel",
    "build/execute/setup.py": "tests/integration/build/test_steps.py, on the real kernel",
    "build/execute/shells.py": "tests/integration/build/test_steps.py, on the real kernel",
    "build/files/copying.py": "tests/integration/build/test_files.py, into real layers",
    "build/files/disktree.py": "tests/integration/build/test_files.py, on mounted layers",
    "build/files/export.py": "tests/integration/build/test_files.py, on mounted layers",
    "build/files/git.py": "tests/integration/build/test_remote_sources.py, with git's server",
    "build/files/git_worker.py": "tests/integration/build/test_remote_sources.py",
    "build/files/inline.py": "tests/unit/build/files/test_held.py",
    "build/files/keeping.py": "tests/integration/build/test_listings.py",
    "build/files/layers.py": "tests/integration/build/test_files.py, with a real snapshotter",
    "build/files/listdoor.py": "tests/integration/build/test_listings.py",
    "build/files/looking.py": "tests/integration/build/test_files.py, on mounted layers",
    "build/files/mountables.py": "tests/integration/build/test_files.py, on the real kernel",
    "build/files/selecting.py": "tests/integration/build/test_files.py",
    "build/files/service.py": "the above together: tests/integration/build/test_files.py",
    "build/files/stored.py": "tests/integration/build/test_remote_sources.py",
    "build/files/tardoor.py": "tests/integration/build/test_files.py",
    "build/files/write.py": "tests/integration/build/test_files.py, into real layers",
    "build/plan/model.py": "records; test_planner.py and test_dispatch.py look into them",
    "build/service.py": "tests/e2e/test_build_graph.py, end to end",
    "build/solve/bases.py": "tests/e2e/test_build_graph.py, end to end",
    "build/solve/build.py": "tests/e2e/test_build_graph.py, end to end",
    "build/solve/copying.py": "tests/e2e/test_build_graph.py and the corpus",
    "build/solve/planning.py": "tests/e2e/test_build_graph.py, end to end",
    "build/solve/reading.py": "tests/e2e/test_build_graph.py, end to end",
    "build/solve/runner.py": "tests/e2e/test_build_graph.py, end to end",
    "build/solve/running.py": "tests/e2e/test_build_graph.py and the corpus",
    "build/solve/sources.py": "tests/e2e/test_build_graph.py, end to end",
    "build/solve/stage.py": "tests/e2e/test_build_graph.py, end to end",
    "build/solve/steps.py": "tests/e2e/test_build_graph.py, end to end",
    "build/solve/work.py": "tests/e2e/test_build_graph.py, end to end",
    "daemon/builds.py": "the wiring of builds: tests/e2e/test_build_graph.py starts it",
    "daemon/app.py": "the wiring: every end-to-end test starts it",
    "distribution/layers.py": "tests/integration/test_pull.py, against honest and lying registries",
    "distribution/pull.py": "tests/integration/test_pull.py, against honest and lying registries",
    "distribution/queries.py": "tests/e2e/test_login.py and tests/e2e/test_registry_tools.py",
    "distribution/service.py": "the wiring of the above: the same tests",
    "engine/images/verifying.py": "tests/integration/test_verify.py, on both drivers",
    "engine/networks/bridges.py": "tests/e2e/test_network.py, against the real kernel",
    "store/erofs/attributes.py": "tests/contract, where attributes are read back from mounts",
    "store/erofs/below.py": "tests/unit/store/test_stage.py and tests/contract",
    "store/erofs/format.py": "tests/unit/store/erofs/test_read.py reads what it describes",
    "store/erofs/index.py": "tests/unit/store/test_stage.py and the kernel in tests/contract",
    "store/erofs/scan.py": "tests/unit/store/test_stage.py and tests/contract",
    "store/erofs/sparse.py": "tests/contract, compared with GNU tar's result",
    "store/erofs/tree.py": "tests/unit/store/test_stage.py and tests/contract",
    "store/snapshots/erofs.py": "tests/contract, the suite of every snapshotter",
    "store/snapshots/incoming.py": "tests/contract, where layers are staged",
    "store/snapshots/mode.py": "tests/unit/store/snapshots/test_choose.py",
    "store/snapshots/overlay.py": "tests/contract, the suite of every snapshotter",
    "store/snapshots/probe_image.py": "tests/unit/store/snapshots/test_choose.py and every start",
    "store/snapshots/stacked.py": "tests/contract, the suite of every snapshotter",
}
# About a whole room and not one module.
OF_A_ROOM = frozenset({"cli/test_startup.py"})


def run(*argv: str) -> None:
    result = subprocess.run(
        [sys.executable, "-m", *argv], cwd=ROOT, capture_output=True, text=True, timeout=600
    )
    assert result.returncode == 0, f"{' '.join(argv)}\n{result.stdout}{result.stderr}"


def test_ruff_finds_nothing() -> None:
    run("ruff", "check", "--quiet", "--output-format=concise", "src", "tests", "bench")


def test_code_is_formatted() -> None:
    run("ruff", "format", "--check", "--quiet", "src", "tests", "bench")


def test_mypy_strict_finds_nothing() -> None:
    run("mypy", "--no-error-summary", "-p", "pierhead")


def unit_test_of(module: Path) -> Path:
    relative = module.relative_to(PACKAGE)
    return UNIT / relative.parent / f"test_{relative.name}"


def test_every_unit_test_has_its_module() -> None:
    """``tests/unit/<room>/test_<module>.py`` tests ``pierhead/<room>/<module>.py``."""
    stray = []
    for test in sorted(UNIT.rglob("test_*.py")):
        relative = test.relative_to(UNIT)
        if len(relative.parts) == 1 and not (PACKAGE / relative.name[5:]).exists():
            continue  # this file and its like, about the package as a whole
        if str(relative) in OF_A_ROOM:
            continue
        name = relative.name[5:-3]
        folder = PACKAGE / relative.parent
        if not (folder / f"{name}.py").exists() and not (folder / name / "__init__.py").exists():
            stray.append(str(test.relative_to(ROOT)))
    assert not stray, f"no module of that name: {stray}"


def test_every_module_has_its_unit_test() -> None:
    missing = [
        str(module.relative_to(PACKAGE))
        for module in sorted(PACKAGE.rglob("*.py"))
        if module.name not in ("__init__.py", "__main__.py")
        and not unit_test_of(module).exists()
        and str(module.relative_to(PACKAGE)) not in ELSEWHERE
    ]
    assert not missing, f"write a unit test, or say in ELSEWHERE what tests them: {missing}"


@pytest.mark.parametrize("name", sorted(ELSEWHERE))
def test_exceptions_are_still_needed(name: str) -> None:
    assert (PACKAGE / name).exists(), f"{name} is gone: drop it from ELSEWHERE"
    assert not unit_test_of(PACKAGE / name).exists(), f"{name} has a test: drop it from ELSEWHERE"
