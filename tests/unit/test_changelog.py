"""The changelog, which the release is made by."""

from __future__ import annotations

import re
from datetime import date
from importlib import metadata
from pathlib import Path

TEXT = (Path(__file__).parents[2] / "CHANGELOG.md").read_text()
HEADINGS = re.findall(r"^## (.+)$", TEXT, re.MULTILINE)


def test_begins_with_what_is_not_released() -> None:
    assert HEADINGS[0] == "Unreleased"


def test_releases_have_a_date_and_go_back_in_time() -> None:
    released = [re.fullmatch(r"(\d+)\.(\d+)\.(\d+) - (\d{4}-\d\d-\d\d)", heading) for heading in HEADINGS[1:]]
    assert all(released)
    dates = [date.fromisoformat(each[4]) for each in released if each]
    versions = [tuple(int(number) for number in each.groups()[:3]) for each in released if each]
    assert dates == sorted(dates, reverse=True)
    assert versions == sorted(set(versions), reverse=True)
    assert all(version <= tuple(map(int, metadata.version("chronos-storage").split("."))) for version in versions)


def test_sections_are_those_of_keep_a_changelog_and_hold_something() -> None:
    for release in re.split(r"^## .+$", TEXT, flags=re.MULTILINE)[1:]:
        names, contents = [], []
        for section in re.split(r"^### ", release, flags=re.MULTILINE)[1:]:
            name, _, content = section.partition("\n")
            names.append(name)
            contents.append(content.strip())
        assert set(names) <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
        assert len(set(names)) == len(names), "a section stands there twice"
        assert all(content.startswith("- ") for content in contents)
