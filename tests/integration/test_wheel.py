"""The wheel, in a fresh Django project that knows nothing of this repository."""

from __future__ import annotations

import os
import re
import subprocess
import sys
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


_SITE_PACKAGES = "import sysconfig; print(sysconfig.get_path('purelib'))"


def link_dependencies(site_packages: Path) -> None:
    """Put what the package needs there, and no more: as it is here, which takes no network, and is compiled already."""
    pending, linked = ["chronos-storage"], set[str]()
    while pending:
        distribution = metadata.distribution(pending.pop())
        needed = [Requirement(each) for each in distribution.requires or ()]
        pending += [each.name for each in needed if not each.marker or each.marker.evaluate({"extra": ""})]
        if distribution.name in linked or distribution.name == "chronos-storage":
            continue
        linked.add(distribution.name)
        for name in {file.parts[0] for file in distribution.files or ()} - {"..", "__pycache__"}:
            (site_packages / name).symlink_to(str(distribution.locate_file(name)))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--wheel", "--outdir", folder, ROOT, cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def manage(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> list[object]:
    """The ``manage.py`` of a new project that has the app installed and migrated, with the interpreter that runs it."""
    folder = tmp_path_factory.mktemp("host")
    venv.create(folder / "venv")
    python = folder / "venv" / "bin" / "python"
    link_dependencies(Path(run(python, "-c", _SITE_PACKAGES, cwd=folder).strip()))
    # By this interpreter's own pip, which finds all there that the wheel names, and nothing else.
    pip = [sys.executable, "-m", "pip", "--python", python]
    run(*pip, "install", "--quiet", "--no-compile", "--no-index", wheel, cwd=folder)
    run(python, "-m", "django", "startproject", "host", folder, cwd=folder)
    with (folder / "host" / "settings.py").open("a") as settings:
        settings.write(SETTINGS)
    manage = [python, "-W", "error", folder / "manage.py"]
    run(*manage, "migrate", "--no-input", cwd=folder)
    return manage


def test_holds_the_package_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    tracked = {str(path.relative_to(ROOT)) for path in (ROOT / "chronos_storage").rglob("*") if path.is_file()}
    assert {name for name in names if ".dist-info/" not in name} == {
        name for name in tracked if "__pycache__" not in name
    }
    assert "chronos_storage/py.typed" in names
    assert any(name.startswith("chronos_storage/migrations/0001") for name in names)
    assert "chronos_storage/templates/admin/chronos_storage/session/timeline.html" in names
    assert {
        "chronos_storage/static/chronos_storage/admin.css",
        "chronos_storage/static/chronos_storage/admin.js",
    } <= names
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_migrates_a_fresh_project_and_leaves_no_migration_to_make(manage: list[object], tmp_path: Path) -> None:
    assert "No changes detected" in run(*manage, "makemigrations", "--check", "--dry-run", cwd=tmp_path)


def test_does_what_the_readme_shows(manage: list[object], tmp_path: Path) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    [example] = blocks
    run(*manage, "shell", "-c", f"exec({example!r}, {{}})", cwd=tmp_path)
