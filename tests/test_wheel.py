"""The package as it is installed: its wheel is built, holds every file that the package reads, and nothing else."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

from cityscribe import __version__

ROOT = Path(__file__).parents[1]
PACKED = ("pyproject.toml", "README.md", "LICENSE", "NOTICE")
TEXTS = (".py", ".yaml", ".json", ".jinja", ".html", ".css", ".js", ".md", ".txt")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel of a copy of the sources. Weights and other large files are stood in for by empty ones."""
    source = tmp_path_factory.mktemp("wheel")
    for name in PACKED:
        shutil.copy(ROOT / name, source)
    for path in files():
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        if path.suffix in TEXTS:
            shutil.copyfile(ROOT / path, source / path)
        else:
            (source / path).touch()
    code = "from setuptools.build_meta import build_wheel; print(build_wheel('.'))"
    done = subprocess.run([sys.executable, "-c", code], cwd=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return zipfile.ZipFile(source / done.stdout.splitlines()[-1])


def files() -> list[Path]:
    found = (path for path in (ROOT / "cityscribe").rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return [path.relative_to(ROOT) for path in found]


def test_it_holds_every_file_of_the_package_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert names == {path.as_posix() for path in files()}


def test_its_metadata_are_those_of_the_project(wheel: zipfile.ZipFile) -> None:
    name = next(name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    found = Parser().parsestr(wheel.read(name).decode())
    assert (found["Name"], found["Version"], found["License-Expression"]) == ("cityscribe", __version__, "Apache-2.0")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = set(project["optional-dependencies"])
    assert set(found.get_all("Provides-Extra") or ()) == extras
    entry_points = wheel.read(name.replace("METADATA", "entry_points.txt")).decode()
    assert "cityscribe = cityscribe.__main__:main" in entry_points
    assert {name.rpartition("/")[2] for name in wheel.namelist() if "/licenses/" in name} == {"LICENSE", "NOTICE"}
