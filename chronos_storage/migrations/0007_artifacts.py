import django.utils.timezone
from django.db import migrations, models

import chronos_storage.fields
import chronos_storage.indexes


class Migration(migrations.Migration):
    dependencies = [
        ("chronos_storage", "0006_owners_filled"),
    ]

    operations = [
        migrations.CreateModel(
            name="Blob",
            fields=[
                ("id", chronos_storage.fields.IdField(max_length=64, primary_key=True, serialize=False)),
                ("kept", chronos_storage.fields.IdField()),
                ("others", chronos_storage.fields.JSONTextField(blank=True, default=dict)),
                ("used_at", chronos_storage.fields.TimestampField(default=django.utils.timezone.now)),
            ],
            options={
                "verbose_name": "blob",
                "verbose_name_plural": "blobs",
                "db_table": "chronos_storage_blob",
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="Artifact",
            fields=[
                ("id", chronos_storage.fields.IdField(primary_key=True, serialize=False)),
                ("scope", chronos_storage.fields.IdField(editable=False, max_length=64)),
                ("session_id", chronos_storage.fields.IdField()),
                ("user_id", chronos_storage.fields.IdField()),
                ("name", chronos_storage.fields.IdField()),
                ("version", models.BigIntegerField()),
                ("mime_type", chronos_storage.fields.IdField()),
                ("size", models.BigIntegerField()),
                ("sha256", chronos_storage.fields.IdField(max_length=64)),
                ("metadata", chronos_storage.fields.MetadataField(blank=True, default=dict)),
                ("created_at", chronos_storage.fields.TimestampField(default=django.utils.timezone.now)),
            ],
            options={
                "verbose_name": "artifact",
                "verbose_name_plural": "artifacts",
                "db_table": "chronos_storage_artifact",
                "indexes": [
                    models.Index(fields=["created_at", "id"], name="chronos_artifact_created"),
                    chronos_storage.indexes.GivenIndex(
                        fields=["session_id", "created_at", "id"], name="chronos_artifact_session"
                    ),
                    chronos_storage.indexes.GivenIndex(
                        fields=["user_id", "created_at", "id"], name="chronos_artifact_user"
                    ),
                    models.Index(fields=["name", "created_at", "id"], name="chronos_artifact_name"),
                    models.Index(fields=["sha256"], name="chronos_artifact_sha256"),
                ],
                "constraints": [models.UniqueConstraint(fields=("scope", "version"), name="chronos_artifact_version")],
            },
        ),
    ]
