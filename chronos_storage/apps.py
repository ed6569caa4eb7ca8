from __future__ import annotations

from django.apps import AppConfig
from django.db.backends.signals import connection_created
from django.db.models.signals import post_migrate, post_save, pre_save


class ChronosStorageConfig(AppConfig):
    name = "chronos_storage"
    verbose_name = "Agent storage"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from . import checks  # noqa: F401
        from .ledger import fixtures, triggers, triggers_sqlite
        from .ledger.series import SERIES

        connection_created.connect(triggers_sqlite.register_function, dispatch_uid="chronos_storage.permit")
        post_migrate.connect(triggers.after_migration, sender=self, dispatch_uid="chronos_storage.triggers")
        for model in SERIES:
            pre_save.connect(fixtures.check_row, sender=model, dispatch_uid="chronos_storage.check_row")
            post_save.connect(fixtures.move_head, sender=model, dispatch_uid="chronos_storage.move_head")
