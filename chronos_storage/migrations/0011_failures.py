from django.db import migrations

import chronos_storage.indexes


class Migration(migrations.Migration):
    # So that PostgreSQL makes the indexes while others go on writing.
    atomic = False

    dependencies = [
        ("chronos_storage", "0010_removal_permissions"),
    ]

    operations = [
        chronos_storage.indexes.ReplaceIndexesBeside(
            model_name=model,
            added=[chronos_storage.indexes.FailedIndex(fields=fields, name=name)],
            removed=[],
        )
        for model, fields, name in (
            ("message", ["session", "created_at"], "chronos_message_failed"),
            ("trace", ["session_id", "started_at"], "chronos_trace_failed"),
        )
    ]
