from django.db import migrations, models

import chronos_storage.indexes
from chronos_storage.indexes import AddIndexBeside, RemoveIndexBeside


class Migration(migrations.Migration):
    # On PostgreSQL nobody waits for these indexes: they are made beside the work of others, in no transaction.
    atomic = False

    dependencies = [
        ("chronos_storage", "0003_fences"),
    ]

    operations = [
        AddIndexBeside(
            model_name="session",
            index=models.Index(fields=["created_at", "id"], name="chronos_session_by_created"),
        ),
        AddIndexBeside(
            model_name="session",
            index=models.Index(fields=["last_activity_at", "id"], name="chronos_session_by_activity"),
        ),
        AddIndexBeside(
            model_name="session",
            index=models.Index(fields=["agent_id", "created_at", "id"], name="chronos_session_agent_created"),
        ),
        AddIndexBeside(
            model_name="session",
            index=models.Index(fields=["agent_id", "last_activity_at", "id"], name="chronos_session_agent_active"),
        ),
        AddIndexBeside(
            model_name="session",
            index=models.Index(fields=["user_id", "created_at", "id"], name="chronos_session_user_created"),
        ),
        AddIndexBeside(
            model_name="session",
            index=models.Index(fields=["user_id", "last_activity_at", "id"], name="chronos_session_user_active"),
        ),
        AddIndexBeside(
            model_name="session",
            index=models.Index(fields=["status", "created_at", "id"], name="chronos_session_by_status"),
        ),
        AddIndexBeside(
            model_name="session",
            index=chronos_storage.indexes.GivenIndex(
                fields=["container_id", "created_at", "id"], name="chronos_session_by_container"
            ),
        ),
        AddIndexBeside(
            model_name="session",
            index=chronos_storage.indexes.GivenIndex(
                fields=["image_id", "created_at", "id"], name="chronos_session_by_image"
            ),
        ),
        RemoveIndexBeside(model_name="session", name="chronos_session_created"),
        RemoveIndexBeside(model_name="session", name="chronos_session_activity"),
        RemoveIndexBeside(model_name="session", name="chronos_session_agent"),
        RemoveIndexBeside(model_name="session", name="chronos_session_agent_activity"),
        RemoveIndexBeside(model_name="session", name="chronos_session_user"),
        RemoveIndexBeside(model_name="session", name="chronos_session_user_activity"),
        RemoveIndexBeside(model_name="session", name="chronos_session_status"),
        RemoveIndexBeside(model_name="session", name="chronos_session_container"),
        RemoveIndexBeside(model_name="session", name="chronos_session_image"),
    ]
