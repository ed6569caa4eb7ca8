"""The example of docs/fences.md does what the page says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "fences.md").read_text(encoding="utf-8")


def test_the_example(capsys: pytest.CaptureFixture[str]) -> None:
    (example,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    exec(example, {})
    held, stale = capsys.readouterr().out.splitlines()
    assert held.startswith("session 'chat' is held by 'worker 1' until ")
    assert f"  # {stale}\n" in PAGE
