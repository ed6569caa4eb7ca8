"""Every example of the documentation is run, page by page; `tests.documentation.pages` says how a page is written."""

from __future__ import annotations

import pytest

from tests.documentation.pages import LANGUAGES, OF_FRAMEWORKS, PAGES, blocks
from tests.documentation.running import Page


@pytest.mark.parametrize("name", [page for page in PAGES if page not in OF_FRAMEWORKS and blocks(page)])
def test_every_block_of_the_page_runs(page: Page, name: str) -> None:
    page.run_all(blocks(name))


@pytest.mark.parametrize("name", PAGES)
def test_every_block_says_what_it_is(name: str) -> None:
    unknown = [(block.line, block.language) for block in blocks(name) if block.language not in LANGUAGES]
    assert unknown == []
