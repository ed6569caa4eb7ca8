"""`requirements.lock`: the versions that are installed are among those that the open ranges name, on every Python."""

from __future__ import annotations

import re
import tomllib
from collections import defaultdict
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LOCK = (ROOT / "requirements.lock").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PYTHONS = [name.rpartition(" ")[2] for name in PROJECT["classifiers"] if re.fullmatch(r".*:: 3\.\d+", name)]


def environment(python: str) -> dict[str, str]:
    """What markers ask of a Python under Linux, as CI has it."""
    linux = {"os_name": "posix", "sys_platform": "linux", "platform_system": "Linux", "platform_machine": "x86_64"}
    name = {"python_version": python, "python_full_version": f"{python}.7", "platform_python_implementation": "CPython"}
    return {**{key: str(value) for key, value in default_environment().items()}, **linux, **name, "extra": ""}


def requirements(text: str) -> list[Requirement]:
    """Those of a file, without its comments and hashes."""
    lines = text.replace("\\\n", " ").splitlines()
    found = [re.sub(r"(^|\s)(#.*|--hash=\S+)", "", line).strip() for line in lines]
    return [Requirement(line) for line in found if line]


def locked(python: str) -> dict[str, list[Requirement]]:
    """What is installed with a Python, by name."""
    found: dict[str, list[Requirement]] = defaultdict(list)
    for each in requirements(LOCK):
        if each.marker is None or each.marker.evaluate(environment(python)):
            found[canonicalize_name(each.name)].append(each)
    return found


def asked(python: str) -> list[Requirement]:
    """What requirements.txt and the package itself ask for with a Python."""
    package = [Requirement(each) for each in PROJECT["dependencies"]]
    given = [*requirements((ROOT / "requirements.txt").read_text()), *package]
    return [each for each in given if each.marker is None or each.marker.evaluate(environment(python))]


@pytest.mark.parametrize("python", PYTHONS)
def test_has_one_version_of_each_requirement_within_its_range(python: str) -> None:
    found = locked(python)
    for requirement in asked(python):
        versions = found[canonicalize_name(requirement.name)]
        assert len(versions) == 1, f"{requirement} has {len(versions)} versions: make lock"
        (version,) = [specifier.version for specifier in versions[0].specifier]
        assert requirement.specifier.contains(version), f"{requirement} does not allow {version}: make lock"


@pytest.mark.parametrize("python", PYTHONS)
def test_is_within_the_ranges_of_the_extras(python: str) -> None:
    found = locked(python)
    for extra in PROJECT["optional-dependencies"].values():
        for requirement in map(Requirement, extra):
            for each in found.get(canonicalize_name(requirement.name), ()):
                (version,) = [specifier.version for specifier in each.specifier]
                assert requirement.specifier.contains(version), f"{requirement} does not allow {version}"


def test_says_versions_and_hashes_and_not_where_they_come_from() -> None:
    for line in LOCK.splitlines():
        # a version with its marker, a hash of it, or a comment on who needs it
        assert re.fullmatch(
            r"[\w.-]+==[\w.+!-]+( ; [^\\]+)? \\|    --hash=sha256:[0-9a-f]{64}( \\)?| +# +[\w. -]+", line.rstrip()
        ), line
    for each in re.split(r"^(?=\S)", LOCK, flags=re.MULTILINE)[1:]:
        assert "--hash=sha256:" in each
