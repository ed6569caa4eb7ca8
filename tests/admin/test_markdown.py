"""Markdown that others wrote: it is laid out, and does nothing."""

from __future__ import annotations

import random
import re
import time

import pytest

from chronos_storage.admin.markdown import LENGTH, rendered
from tests.integration.test_forgotten import project


def html(text: str) -> str:
    found = rendered(text)
    assert found is not None
    return found


def test_what_is_common_is_laid_out() -> None:
    page = html("# Title\n\nA **bold** word\nand `code`.\n\n- one\n- two\n\n| a | b |\n|---|---|\n| 1 | ~~2~~ |")
    assert "<h3>Title</h3>" in page
    assert "A <strong>bold</strong> word<br>\nand <code>code</code>." in page
    assert "<li>one</li>" in page
    assert "<td>1</td>\n<td><s>2</s></td>" in page


@pytest.mark.parametrize(
    "scheme", ["http://a.example/?x=1", "https://a.example/b", "mailto:a@b.example", "HTTPS://a.example"]
)
def test_links_lead_to_the_web_and_to_mail(scheme: str) -> None:
    page = html(f"[there]({scheme})")
    assert re.fullmatch(r'<p><a href="[^"]+" rel="noopener noreferrer nofollow">there</a></p>\n', page), page


@pytest.mark.parametrize(
    "text",
    [
        *(
            "[x](javascript:alert(1))",
            "[x](JaVaScRiPt:alert(1))",
            "[x](java\tscript:alert(1))",
            "[x](&#106;avascript:alert(1))",
        ),
        *(
            "[x](data:text/html,<script>1</script>)",
            "[x](vbscript:x)",
            "[x](file:///etc/passwd)",
            "<javascript:alert(1)>",
        ),
        *("[x](/admin/logout/)", "[x](//elsewhere.example)", "[x](?delete)", "[x](#message-1)", "[x](ftp://a.example)"),
        *("[x][1]\n\n[1]: javascript:alert(1)", "![x](data:image/svg+xml;base64,PHN2Zz4=)", "![x](/admin/secret.png)"),
        *("[x](<javascript:alert(1)>)", "[x](\u0001javascript:alert(1))", "[x](javascript&colon;alert(1))"),
    ],
)
def test_nothing_else_is_a_link(text: str) -> None:
    assert "<a" not in html(text)
    assert "<img" not in html(text)


def test_html_is_text() -> None:
    page = html(
        "<script>alert(1)</script>\n\n<img src=x onerror=alert(1)> <b onclick=x>b</b> <!-- c --> <style>*{}</style>"
    )
    assert set(re.findall(r"<\w+", page)) == {"<p"}
    assert "&lt;script&gt;" in page
    page = html('```html" onclick="x\n<b>\n```\n\n`<i>`\n\n[x](https://a.example/"onclick="x)')
    assert "onclick=" not in re.sub(r'"[^"]*"|>[^<]*<', "", page)


def test_images_are_not_loaded_but_linked() -> None:
    page = html("![the <map>](https://a.example/track.png?user=1) [![in](https://a.example/i)](https://b.example)")
    assert "<img" not in page
    assert '<a href="https://a.example/track.png?user=1" rel="noopener noreferrer nofollow">the &lt;map&gt;</a>' in page


#: What parsers of Markdown took long for, as much of it as a page renders.
_PARTS = (
    *("[", "![", "[a](", "[a](<b", "> ", "- ", "* a\n", "**a_ ", "*a **b ", "_a ", "`", "`a``b```", "a|b\n", "<", "&#"),
    *(
        "[[]]",
        "[a][b]",
        "[a]: b\n",
        "](",
        "<a@b",
        "~~a",
        "((((",
        "[x](((((",
        "- - ",
        "> - 1. ",
        "# a\n",
        "a\n=\n",
        "<!--",
        "\\",
    ),
)


@pytest.mark.parametrize("part", [*_PARTS, "nested", "table", "random"])
def test_hostile_markdown_takes_no_longer_than_a_moment(part: str) -> None:
    dice = random.Random(1)
    made = {
        "nested": "".join(" " * (2 * depth) + "- a\n" for depth in range(250))
        + "".join(">" * d + "a\n" for d in range(250)),
        "table": "a|" * 10_000 + "\n" + "-|" * 10_000 + "\n" + "a|b\n" * 2_000,
        "random": "".join(dice.choice("[]()!*_`<>&|\\\n -#~a1.:\"'") for _ in range(LENGTH)),
    }
    text = made.get(part, part * (LENGTH // len(part)))[:LENGTH]
    begun = time.thread_time()
    html(text)
    assert time.thread_time() - begun < 6


def test_without_the_libraries_a_check_says_so_and_texts_stay_texts() -> None:
    said, *found = project(
        "from chronos_storage.admin.markdown import rendered; raise Exception(rendered('**x**'))",
        absent="nh3",
        apps="django.contrib.admin django.contrib.messages chronos_storage",
        tags="admin",
    )
    assert said == "Exception: None"
    [check] = [line for line in found if line.startswith("chronos_storage.I002: ")]
    assert check.endswith("install chronos-storage[admin].")
