"""What a model is given of a session, beside what is kept of it."""

from __future__ import annotations

from typing import Any

from django import forms
from django.db.models import Sum
from django.db.models.functions import Length
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from .. import codec
from ..exceptions import InvalidRecord
from ..models import Message
from ..providers import PROVIDERS
from ..text import visible
from .access import require
from .addresses import address, session_address
from .base import plain as as_plain
from .blocks import RESULT, plain
from .previews import column_of, laid_out, preview, previewed, whole
from .session_page import SessionPage

#: How many messages of each side a page shows, and how many characters of contents a session may have for it.
_SHOWN, _LONGEST = 100, 2_000_000
_NAMES = {"openai": "OpenAI", "anthropic": "Anthropic", "gemini": "Gemini"}


class ContextForm(forms.Form):
    """Who is given how much."""

    provider = forms.ChoiceField(label=gettext_lazy("for"), choices=[(name, _NAMES[name]) for name in PROVIDERS])
    budget = forms.IntegerField(
        label=gettext_lazy("at most so many bytes"), required=False, min_value=1, max_value=codec.MAX_INTEGER
    )


class ContextPages(SessionPage):
    """The page of a session as `Storage.context` gives it."""

    def context_urls(self) -> list[URLPattern]:
        """Its address."""
        return [self.page("<path:object_id>/context/", "context", self.context_view)]

    def context_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The last messages as they are kept, and as a provider is given them; with `text`, all that it is given."""
        session = self.found(request, object_id)
        require(request, "view", Message)
        rows = Message.objects.using(self.storage.alias).filter(session_id=session.pk)
        content, calls = (Length(whole(column_of(Message, name))) for name in ("content", "tool_calls"))
        is_long = (rows.aggregate(length=Sum(content + calls))["length"] or 0) > _LONGEST
        form = ContextForm({"provider": "openai", **request.GET.dict()})
        given: Any = None
        if form.is_valid() and not is_long:
            chosen = form.cleaned_data
            try:
                given = self.storage.context(session.pk, provider=chosen["provider"], budget=chosen["budget"])
            except InvalidRecord as error:
                form.add_error("budget", error.problem)
        if given is not None and "text" in request.GET:
            self.note_look(request, session, "context")
            return as_plain(visible(codec.encode({"system": given.system, "messages": list(given)})))
        kept = list(previewed(rows.order_by("-seq_num"), ["content", "tool_calls"])[: _SHOWN + 1])
        return self.session_page(
            request,
            session,
            "context",
            _("What a model is given"),
            form=form,
            is_long=is_long,
            kept=[_kept(row) for row in kept[:_SHOWN][::-1]],
            more_kept=len(kept) > _SHOWN,
            given=None if given is None else _given(given),
            more_given=given is not None and len(given) > _SHOWN,
            text_address=f"{session_address(session.pk, 'context')}?{urlencode({**request.GET.dict(), 'text': '1'})}",
        )


def _kept(row: Any) -> dict[str, Any]:
    found = [preview(row, name) for name in ("content", "tool_calls")]
    texts = [each.text if each.complete else f"{each.text}…" for each in found if not each.empty]
    return {"row": row, "address": address(row, "change"), "text": "\n".join(texts)}


def _given(messages: Any) -> list[tuple[str, str]]:
    """Who speaks, and all else that the provider is given."""
    found = []
    for message in messages[-_SHOWN:]:
        said = {name: value for name, value in message.items() if name != "role"}
        content = said["content"] if [*said] == ["content"] else said
        text = content if isinstance(content, str) else laid_out(content)
        found.append((visible(message["role"]), plain(text, RESULT).text))
    system = [("system", plain(messages.system, RESULT).text)] if messages.system else []
    return system + found
