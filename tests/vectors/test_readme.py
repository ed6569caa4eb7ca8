"""What the README and the page on vectors show of the vector store."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.django_db
@pytest.mark.parametrize("page", ["README.md", "docs/vectors.md"])
def test_does_what_the_page_shows(page: str) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text(), re.DOTALL | re.MULTILINE)
    shown = [block for block in blocks if "vector_store" in block]
    assert shown
    exec("\n".join(shown), {})
