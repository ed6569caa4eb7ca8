from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.db.backends.signals import connection_created
from django.db.models.signals import post_delete, post_migrate, post_save, pre_save
from django.utils.translation import gettext_lazy as _


class ChronosStorageConfig(AppConfig):
    name = "chronos_storage"
    verbose_name: Any = _("Agent storage")
    default_auto_field: str = "django.db.models.BigAutoField"

    @property
    def unseen_store(self) -> str:
        """The class of the default storage's backend, where that is no Django database, which the admin shows."""
        from .backends.handler import DEFAULT_ALIAS
        from .exceptions import ConfigurationError
        from .facade.stores import storages

        try:
            backend = storages[DEFAULT_ALIAS].backend
        except ConfigurationError:  # which a check says
            return ""
        return type(backend).__name__ if backend.using is None else ""

    def ready(self) -> None:
        from . import checks, reach  # noqa: F401
        from .backends.orm import hooks
        from .ledger import fixtures, heads, triggers, triggers_sqlite
        from .ledger.series import CHAINS
        from .models import Head, Session
        from .queues import outbox

        hooks.register(outbox)

        connection_created.connect(triggers_sqlite.register_function, dispatch_uid="chronos_storage.permit")
        post_migrate.connect(triggers.after_migration, sender=self, dispatch_uid="chronos_storage.triggers")
        post_migrate.connect(reach.after_migration, sender=self, dispatch_uid="chronos_storage.reach")
        for model in CHAINS:
            post_save.connect(fixtures.note_row, sender=model, dispatch_uid="chronos_storage.note_row")
        pre_save.connect(fixtures.place_head, sender=Head, dispatch_uid="chronos_storage.place_head")
        pre_save.connect(fixtures.keep_hold, sender=Session, dispatch_uid="chronos_storage.keep_hold")
        post_delete.connect(heads.remove_heads, sender=Session, dispatch_uid="chronos_storage.remove_heads")
