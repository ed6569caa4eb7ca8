from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ChronosKeysConfig(AppConfig):
    name = "chronos_storage.api.keys"
    label = "chronos_keys"
    verbose_name: Any = _("Agent API keys")
    default_auto_field: str = "django.db.models.BigAutoField"
