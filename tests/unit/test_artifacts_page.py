"""The examples of docs/artifacts.md do what the page says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.files.storage import storages
from django.test import override_settings

import chronos_storage
from chronos_storage import Storage
from chronos_storage.backends.document import MemoryBackend

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "artifacts.md").read_text(encoding="utf-8")


def test_the_examples(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    use, settings_, bucket, copy = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    configured: dict[str, dict[str, dict[str, dict[str, str]]]] = {}
    exec(settings_.replace("/srv/agents/artifacts", str(tmp_path)), configured)
    monkeypatch.setattr(chronos_storage, "storage", Storage(MemoryBackend()), raising=False)
    monkeypatch.chdir(tmp_path)
    Path("report.txt").write_text("Report")
    # Each expression says what comes of it: by itself, or in its comment.
    use = re.sub(r"^(.* == .*?)( +#.*)?$", r"assert \1", use, flags=re.MULTILINE)
    use = re.sub(r"^( *)(\S.*?\S) +# ([\d]+|b\".*\")$", r"\1assert \2 == \3", use, flags=re.MULTILINE)
    assert use.count("assert ") == 5
    with override_settings(STORAGES=configured["STORAGES"], CHRONOS_STORAGE=configured["CHRONOS_STORAGE"]):
        given = {}
        exec(use, given)
        assert len(list(Path(tmp_path, "chronos_artifacts").rglob("*-*-*"))) >= 2
        names = {"source": given["storage"], "target": Storage(MemoryBackend())}
        names["target"].load(names["source"].scan("session"))
        exec(copy, names)
        [artifact] = names["target"].list_artifacts()
        assert names["target"].open_artifact(artifact.id).read() == b"Draft"
    options = eval(f"{{{bucket}}}")["artifacts"]
    with override_settings(STORAGES={**settings.STORAGES, "artifacts": options}):
        found: Any = storages["artifacts"]
        assert found.bucket_name == "artifacts"
