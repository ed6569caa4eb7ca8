from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ChronosLangGraphConfig(AppConfig):
    name = "chronos_storage.integrations.langgraph"
    label = "chronos_langgraph"
    verbose_name: Any = _("LangGraph")
    default_auto_field: str = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from ...operations import further
        from . import checks  # noqa: F401
        from .lasting import StoredItems

        further.register(StoredItems())
