from django.db import migrations, models

import chronos_storage.indexes


class Migration(migrations.Migration):
    # On PostgreSQL nobody waits for these indexes: they are made beside the work of others, in no transaction.
    atomic = False

    dependencies = [
        ("chronos_storage", "0003_fences"),
    ]

    operations = [
        chronos_storage.indexes.ReplaceIndexesBeside(
            model_name="session",
            added=[
                models.Index(fields=["created_at", "id"], name="chronos_session_by_created"),
                models.Index(fields=["last_activity_at", "id"], name="chronos_session_by_activity"),
                models.Index(fields=["agent_id", "created_at", "id"], name="chronos_session_agent_created"),
                models.Index(fields=["agent_id", "last_activity_at", "id"], name="chronos_session_agent_active"),
                models.Index(fields=["user_id", "created_at", "id"], name="chronos_session_user_created"),
                models.Index(fields=["user_id", "last_activity_at", "id"], name="chronos_session_user_active"),
                models.Index(fields=["status", "created_at", "id"], name="chronos_session_by_status"),
                chronos_storage.indexes.GivenIndex(
                    fields=["container_id", "created_at", "id"], name="chronos_session_by_container"
                ),
                chronos_storage.indexes.GivenIndex(
                    fields=["image_id", "created_at", "id"], name="chronos_session_by_image"
                ),
            ],
            removed=[
                "chronos_session_created",
                "chronos_session_activity",
                "chronos_session_agent",
                "chronos_session_agent_activity",
                "chronos_session_user",
                "chronos_session_user_activity",
                "chronos_session_status",
                "chronos_session_container",
                "chronos_session_image",
            ],
        ),
    ]
