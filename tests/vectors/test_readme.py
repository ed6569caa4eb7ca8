"""What the README shows of the vector store."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

README = Path(__file__).resolve().parents[2] / "README.md"


@pytest.mark.django_db
def test_does_what_the_readme_shows() -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", README.read_text(), re.DOTALL | re.MULTILINE)
    [example] = [block for block in blocks if "vector_store" in block]
    exec(example, {})
