"""Every example of the documentation is run, page by page; `tests.documentation.pages` says how a page is written."""

from __future__ import annotations

import re

import pytest

from chronos_storage import conf
from tests.documentation.pages import LANGUAGES, OF_FRAMEWORKS, PAGES, ROOT, TUTORIAL, blocks
from tests.documentation.running import Page


@pytest.mark.parametrize("name", [page for page in PAGES if page not in {*OF_FRAMEWORKS, TUTORIAL} and blocks(page)])
def test_every_block_of_the_page_runs(page: Page, name: str) -> None:
    page.run_all(blocks(name))


@pytest.mark.parametrize("name", PAGES)
def test_every_block_says_what_it_is(name: str) -> None:
    unknown = [(block.line, block.language) for block in blocks(name) if block.language not in LANGUAGES]
    assert unknown == []


def test_the_page_of_settings_has_all_that_there_are() -> None:
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    names = {*conf.SECTIONS, *(name for options in conf.OPTIONS.values() for name in options)}
    assert {name for name in names if f"`{name}`" not in page} == set()


def test_every_link_of_the_readme_works_where_it_is_shown_too() -> None:
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    links = re.findall(r"(?<!!)\[[^]]*\]\(([^)]*)\)", re.sub(r"^!\[.*$", "", page, flags=re.MULTILINE))
    assert [link for link in links if not link.startswith("https://")] == []
