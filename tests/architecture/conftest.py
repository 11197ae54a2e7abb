"""The wheel of the project, built once from what git tracks."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.architecture.local_wheels import needed_by, pack

ROOT = Path(__file__).parents[2]
PACKAGES = ("protocols", "edge_agent", "cloud", "models")


def files_in_packages(root: Path) -> set[str]:
    """Return what git tracks, or would track, of the four packages."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", *PACKAGES],
        cwd=root, capture_output=True, text=True, check=True,
    ).stdout.split("\0")  # fmt: skip
    return {name for name in listed if name and (root / name).is_file()}


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build from a copy of the tracked files, as a release is."""
    copy = tmp_path_factory.mktemp("source")
    for name in (*files_in_packages(ROOT), "pyproject.toml", "README.md", "LICENSE", ".gitignore"):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, copy / name)
    out = tmp_path_factory.mktemp("wheel")
    uv = Path(sys.executable).with_name("uv")
    subprocess.run(
        [uv, "build", "--quiet", "--wheel", "--no-build-isolation", "--python", sys.executable, "--out-dir", out, copy],
        check=True,
    )
    return next(out.glob("*.whl"))


@pytest.fixture(scope="session")
def wheels(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of wheels that the agent and its pages install from, without a network."""
    return _packed(wheel, tmp_path_factory.mktemp("wheels"), "edge", "ui")


@pytest.fixture(scope="session")
def cloud_wheels(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of wheels that the cloud installs from, without a network."""
    return _packed(wheel, tmp_path_factory.mktemp("cloud_wheels"), "cloud")


def _packed(wheel: Path, folder: Path, *extras: str) -> Path:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    optional = [need for extra in extras for need in project["optional-dependencies"][extra]]
    for held in needed_by([*project["dependencies"], *optional]):
        pack(held, folder)
    (folder / wheel.name).write_bytes(wheel.read_bytes())
    return folder
