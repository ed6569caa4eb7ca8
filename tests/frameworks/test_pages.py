"""The examples of the documentation's pages on frameworks are run where the frameworks are."""

from __future__ import annotations

import pytest

from tests.documentation.conftest import page as page
from tests.documentation.pages import OF_FRAMEWORKS, blocks
from tests.documentation.running import Page


@pytest.mark.parametrize("name", sorted(OF_FRAMEWORKS))
def test_every_block_of_the_page_runs(page: Page, name: str) -> None:
    page.run_all(blocks(name))
