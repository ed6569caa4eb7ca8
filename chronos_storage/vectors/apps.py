from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _


class ChronosVectorsConfig(AppConfig):
    name = "chronos_storage.vectors"
    label = "chronos_vectors"
    verbose_name: Any = _("Agent vectors")
    default_auto_field: str = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from . import checks, schema  # noqa: F401

        post_migrate.connect(schema.after_migration, sender=self, dispatch_uid="chronos_vectors.schema")
