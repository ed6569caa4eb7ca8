"""What is released: the source distribution, and the wheel in a fresh project that knows nothing of this repository.

``DIST=dist`` has what is built there looked at, and the wheel's dependencies taken from an index; see .ci/release.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import venv
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = """
INSTALLED_APPS += ["chronos_storage"]
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
"""


def run(*command: object, cwd: Path) -> str:
    """What the command prints; it inherits nothing of this test run."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("DJANGO_", "PYTHON"))}
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    output = done.stdout.decode()
    assert done.returncode == 0, output
    return output


def site_packages(python: Path) -> Path:
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    return Path(run(python, "-c", code, cwd=python.parent).strip())


def link_distributions(folder: Path, *names: str) -> None:
    """Put distributions, but this one, and what they need there, and no more.

    They are as they are here, which takes no network, and compiled already.
    """
    pending, linked = list(names), set[str]()
    while pending:
        distribution = metadata.distribution(pending.pop())
        if distribution.name in linked:
            continue
        linked.add(distribution.name)
        needed = [Requirement(each) for each in distribution.requires or ()]
        pending += [each.name for each in needed if not each.marker or each.marker.evaluate({"extra": ""})]
        if distribution.name == "chronos-storage":
            continue
        for name in {file.parts[0] for file in distribution.files or ()} - {"..", "__pycache__"}:
            if not (folder / name).exists():
                (folder / name).symlink_to(str(distribution.locate_file(name)))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the source distribution, and the wheel that was built of it."""
    if "DIST" in os.environ:
        return (ROOT / os.environ["DIST"]).resolve()
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--outdir", folder, ROOT, cwd=folder)
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    (found,) = built.glob("*.whl")
    return found


def package() -> set[str]:
    """The files of the package, as this repository has them."""
    files = {path.relative_to(ROOT) for path in (ROOT / "chronos_storage").rglob("*") if path.is_file()}
    return {str(path) for path in files if "__pycache__" not in path.parts}


@pytest.fixture(scope="module")
def manage(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> list[object]:
    """The ``manage.py`` of a new project that has the app installed and migrated, with the interpreter that runs it."""
    folder = tmp_path_factory.mktemp("host")
    venv.create(folder / "venv")
    python = folder / "venv" / "bin" / "python"
    pip: list[object] = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-compile"]
    if "DIST" not in os.environ:
        # This interpreter's own pip then finds all there that the wheel names, and nothing else.
        link_distributions(site_packages(python), "chronos-storage")
        pip.append("--no-index")
    run(*pip, wheel, cwd=folder)
    run(python, "-m", "django", "startproject", "host", folder, cwd=folder)
    with (folder / "host" / "settings.py").open("a") as settings:
        settings.write(SETTINGS)
    manage = [python, "-W", "error", folder / "manage.py"]
    run(*manage, "migrate", "--no-input", cwd=folder)
    return manage


def test_holds_the_package_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {name for name in names if ".dist-info/" not in name} == package()
    assert "chronos_storage/py.typed" in names
    assert any(name.startswith("chronos_storage/migrations/0001") for name in names)
    assert "chronos_storage/templates/admin/chronos_storage/session/timeline.html" in names
    assert {
        "chronos_storage/static/chronos_storage/admin.css",
        "chronos_storage/static/chronos_storage/admin.js",
    } <= names
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_source_holds_what_the_wheel_is_built_of(built: Path) -> None:
    (source,) = built.glob("*.tar.gz")
    with tarfile.open(source) as archive:
        names = {member.name.partition("/")[2] for member in archive.getmembers() if member.isfile()}
    beside = {"CHANGELOG.md", "LICENSE", "PKG-INFO", "README.md", "pyproject.toml"}
    assert names - {".gitignore"} == package() | beside  # which hatchling always adds


def test_migrates_a_fresh_project_and_leaves_no_migration_to_make(manage: list[object], tmp_path: Path) -> None:
    assert "No changes detected" in run(*manage, "makemigrations", "--check", "--dry-run", cwd=tmp_path)


def test_does_what_the_readme_shows(manage: list[object], tmp_path: Path) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    [example] = blocks
    run(*manage, "shell", "-c", f"exec({example!r}, {{}})", cwd=tmp_path)


def test_pytest_finds_the_fixture_and_leaves_the_package_as_it_is(manage: list[object], tmp_path: Path) -> None:
    (tmp_path / "test_host.py").write_text(
        """
from importlib.machinery import SourceFileLoader
from chronos_storage import records

def test_agent(chronos_storage):
    assert chronos_storage.create_session(records.Session(id="s")) == chronos_storage.get_session("s")
    assert type(records.__loader__) is SourceFileLoader  # not pytest's, which rewrites assertions
"""
    )
    python, _, _, project = map(str, manage)
    link_distributions(site_packages(Path(python)), "pytest", "pytest-django")
    settings = ["--ds", "host.settings", "--override-ini", "testpaths=", "--rootdir", tmp_path, tmp_path]
    assert "1 passed" in run(python, "-m", "pytest", "-q", *settings, cwd=Path(project).parent)
