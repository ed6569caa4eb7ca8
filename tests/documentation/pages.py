"""The pages of the documentation, as what a reader copies from them: blocks of code, in their order.

What a page's reader has already and the page need not show, such as a file or a model, stands in the source just before
the block that needs it, as a comment of HTML, which no reader sees::

    <!-- python
    Path("report.txt").write_text("Report")
    -->

A block that can't be run says why in the line before it::

    <!-- not run: needs an account of AWS -->

The first line of a block of Python may name its file: ``# settings.py``, ``# urls.py`` or ``# shop/agent.py``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
#: What is run, each with what runs it; ``text`` is a picture of something, and is not.
LANGUAGES = {"python", "console", "yaml", "json", "js", "text", "hidden"}
#: Of Sphinx' own directives.
DIRECTIVES = re.compile(r"\{[\w-]+\}")
_BLOCK = re.compile(
    r"^(?:<!-- not run: (?P<why>[^\n]+) -->\n\n?)?(?P<fence>```+)(?P<language>\S*)[^\n]*\n(?P<text>.*?)^(?P=fence)$"
    r"|^<!-- python\n(?P<hidden>.*?)^-->$",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True)
class Block:
    """A piece of code of a page.

    Attributes:
        page: the page's path from the repository's root.
        line: the number of its first line.
        language: as the fence names it, or ``hidden``.
        text: what is in it.
        why_not: why it is not run; empty for one that is.
    """

    page: str
    line: int
    language: str
    text: str
    why_not: str = ""

    @property
    def file(self) -> str:
        """The file that the first line says it is, or nothing."""
        found = re.match(r"# ((?:[\w.-]+/)*[\w-]+\.\w+)\n", self.text)
        return found[1] if found else ""

    @property
    def is_module(self) -> bool:
        """Whether it is a file of its own, and no part of the project's settings or URLs."""
        return self.file.endswith(".py") and self.file not in ("settings.py", "urls.py")

    @property
    def source(self) -> str:
        """Its text, with as many lines before it as on the page, so that an error names the right one."""
        return (self.line - 1) * "\n" + self.text


def blocks(page: str) -> list[Block]:
    """All blocks of a page but those of Sphinx' directives."""
    text = (ROOT / page).read_text(encoding="utf-8")
    found = []
    for match in _BLOCK.finditer(text):
        group = "hidden" if match["hidden"] is not None else "text"
        language = "hidden" if group == "hidden" else match["language"]
        if not DIRECTIVES.fullmatch(language):
            line = text.count("\n", 0, match.start(group)) + 1
            found.append(Block(page, line, language, match[group], match["why"] or ""))
    return found


PAGES = ["README.md", *sorted(f"docs/{path.relative_to(ROOT / 'docs')}" for path in (ROOT / "docs").rglob("*.md"))]
#: What needs a framework, and is run where that is installed: by tests/frameworks/test_pages.py.
OF_FRAMEWORKS = {
    f"docs/{name}.md"
    for name in (
        "claude-agent-sdk",
        "eventsourcing",
        "google-adk",
        "langchain",
        "langgraph",
        "mcp",
        "openai-agents",
        "pydantic_ai",
    )
}
#: Followed from an empty folder, by test_tutorial.py.
TUTORIAL = "docs/tutorial.md"
