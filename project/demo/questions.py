"""What the agent is asked, and how it goes about an answer: the place where another agent would call a model.

A plan is a generator. It yields the tool calls it needs, one after the other, gets each one's output sent back, or a
`ToolError` raised, and returns the answer. `decide` runs a plan from its beginning over the results there are so far,
as a model reads the whole conversation each time; so there is nothing to remember between two calls but the results.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any

from .tools import ToolError

QUESTIONS = (
    "Which version of Django is installed?",
    "How many classes does django.db.models.fields define?",
    "How many functions does django.shortcuts define?",
    "Which defines more classes, django.forms or django.template?",
    "Which module of django.contrib.auth defines the most functions?",
    "What is django.core.signing for?",
    "What is django.utils.functional.cached_property for?",
    "What is django.db.models.QuerySet for?",
    "Where is get_object_or_404 defined?",
    "How many files of django.contrib.admin mention format_html?",
    "Which file of django.db mentions select_for_update most often?",
    "What is django.utils.telepathy for?",
    "What in django.utils is about removing HTML tags?",
    "What in django.contrib.auth is about resetting a password?",
)


@dataclass(frozen=True)
class Call:
    """A tool call that the agent wants made."""

    tool: str
    arguments: dict[str, Any]


Plan = Generator[Call, Any, str]
_plans: list[tuple[re.Pattern[str], Callable[..., Plan]]] = []


def decide(question: str, results: Sequence[dict[str, Any]]) -> Call | str:
    """The next step towards an answer: a tool call, or the answer.

    Args:
        results: of the calls made so far, in their order: ``{"output": …}`` or ``{"error": "…"}``.
    """
    plan = _plan_for(question)
    try:
        call = next(plan)
        for result in results:
            call = plan.throw(ToolError(result["error"])) if "error" in result else plan.send(result["output"])
    except StopIteration as end:
        return str(end.value)
    except ToolError as error:
        return f"I could not find out: {error}."
    return call


def _plan_for(question: str) -> Plan:
    for pattern, plan in _plans:
        if match := pattern.fullmatch(question):
            return plan(**match.groupdict())
    raise LookupError(f"there is no plan for the question {question!r}")


def _answers(pattern: str) -> Callable[[Callable[..., Plan]], Callable[..., Plan]]:
    def register(plan: Callable[..., Plan]) -> Callable[..., Plan]:
        _plans.append((re.compile(pattern), plan))
        return plan

    return register


@_answers(r"Which version of Django is installed\?")
def _version() -> Plan:
    found = yield Call("search_source", {"pattern": "^VERSION = ", "package": "django"})
    return f"{found['first']['file']} says: {found['first']['text']}."


@_answers(r"How many (?P<kind>classes|functions) does (?P<name>[\w.]+) define\?")
def _how_many(kind: str, name: str) -> Plan:
    counted = yield Call("count_definitions", {"name": name, "kind": kind})
    return f"{name} defines {counted['total']} {kind}."


@_answers(r"Which defines more (?P<kind>classes|functions), (?P<one>[\w.]+) or (?P<other>[\w.]+)\?")
def _which_more(kind: str, one: str, other: str) -> Plan:
    totals = {}
    for name in (one, other):
        totals[name] = (yield Call("count_definitions", {"name": name, "kind": kind}))["total"]
    more, fewer = sorted(totals, key=lambda name: -totals[name])
    return f"{more} defines {totals[more]} {kind}, {fewer} {totals[fewer]}."


@_answers(r"Which module of (?P<name>[\w.]+) defines the most (?P<kind>classes|functions)\?")
def _which_most(name: str, kind: str) -> Plan:
    counted = yield Call("count_definitions", {"name": name, "kind": kind})
    module, number = next(iter(counted["modules"].items()))
    return f"{module} does: {number} of the {counted['total']} {kind} of {name}."


@_answers(r"What is (?P<name>[\w.]+) for\?")
def _what_for(name: str) -> Plan:
    try:
        docstring = yield Call("read_docstring", {"name": name})
    except ToolError:
        # A public name is often imported from elsewhere: look for where it is defined, and read there.
        last = name.rpartition(".")[2]
        found = yield Call("search_source", {"pattern": _definition_of(last), "package": "django"})
        if not found["first"]:
            return f"There is no {name} in the installed Django."
        module = found["first"]["file"].removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        docstring = yield Call("read_docstring", {"name": f"{module}.{last}"})
    summary = " ".join(docstring.partition("\n\n")[0].split())
    return f"{name}: {summary}"


@_answers(r"Where is (?P<name>\w+) defined\?")
def _where(name: str) -> Plan:
    found = yield Call("search_source", {"pattern": _definition_of(name), "package": "django"})
    if not found["first"]:
        return f"No class or function of Django is named {name}."
    return f"{name} is defined in {found['first']['file']}, line {found['first']['line']}."


@_answers(r"How many files of (?P<package>[\w.]+) mention (?P<word>\w+)\?")
def _how_many_files(package: str, word: str) -> Plan:
    found = yield Call("search_source", {"pattern": rf"\b{word}\b", "package": package})
    return f"{len(found['files'])} files of {package} mention {word}, on {found['lines']} lines."


@_answers(r"Which file of (?P<package>[\w.]+) mentions (?P<word>\w+) most often\?")
def _which_file(package: str, word: str) -> Plan:
    found = yield Call("search_source", {"pattern": rf"\b{word}\b", "package": package})
    if not found["files"]:
        return f"No file of {package} mentions {word}."
    file, lines = next(iter(found["files"].items()))
    return f"{file} does, on {lines} of {found['lines']} lines."


@_answers(r"What in (?P<package>[\w.]+) is about (?P<about>.+)\?")
def _what_about(package: str, about: str) -> Plan:
    read = (yield Call("index_docstrings", {"package": package}))["read"]
    hits = yield Call("find_docstrings", {"about": about, "package": package})
    nearest = ", ".join(f"{hit['name']} ({hit['score']:.2f})" for hit in hits)
    return f"Of the {read} docstrings of {package}, these are the nearest: {nearest}."


def _definition_of(name: str) -> str:
    return rf"^(class|def|async def) {name}\b"
