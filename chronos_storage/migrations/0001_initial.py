import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

import chronos_storage.fields
import chronos_storage.models.append_only


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="AuditLog",
            fields=[
                ("seq_num", models.BigIntegerField()),
                ("hash", chronos_storage.fields.IdField(max_length=64)),
                ("created_at", chronos_storage.fields.ExactTimestampField()),
                ("id", chronos_storage.fields.IdField(primary_key=True, serialize=False)),
                ("chain", chronos_storage.fields.IdField(max_length=263)),
                ("session_id", chronos_storage.fields.IdField()),
                ("agent_id", chronos_storage.fields.IdField()),
                ("user_id", chronos_storage.fields.IdField()),
                ("actor", chronos_storage.fields.IdField()),
                ("action", chronos_storage.fields.IdField()),
                ("resource", chronos_storage.fields.IdField()),
                ("detail", chronos_storage.fields.JSONTextField(blank=True, default=dict)),
            ],
            options={
                "db_table": "chronos_storage_auditlog",
                "abstract": False,
                "default_permissions": ("add", "view"),
                "base_manager_name": "objects",
                "indexes": [
                    models.Index(fields=["created_at"], name="chronos_audit_created"),
                    models.Index(fields=["session_id", "created_at"], name="chronos_audit_session"),
                    models.Index(fields=["agent_id", "created_at"], name="chronos_audit_agent"),
                    models.Index(fields=["user_id", "created_at"], name="chronos_audit_user"),
                    models.Index(fields=["actor", "created_at"], name="chronos_audit_actor"),
                    models.Index(fields=["action", "created_at"], name="chronos_audit_action"),
                    models.Index(fields=["resource", "created_at"], name="chronos_audit_resource"),
                ],
                "constraints": [models.UniqueConstraint(fields=("chain", "seq_num"), name="chronos_audit_number")],
            },
        ),
        migrations.CreateModel(
            name="Container",
            fields=[
                ("id", chronos_storage.fields.IdField(primary_key=True, serialize=False)),
                ("config", chronos_storage.fields.JSONTextField(blank=True, default=dict)),
                ("created_at", chronos_storage.fields.TimestampField(default=django.utils.timezone.now)),
                ("updated_at", chronos_storage.fields.TimestampField(default=django.utils.timezone.now)),
            ],
            options={
                "db_table": "chronos_storage_container",
                "indexes": [models.Index(fields=["created_at"], name="chronos_container_created")],
            },
        ),
        migrations.CreateModel(
            name="Head",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("kind", chronos_storage.fields.IdField(max_length=16)),
                ("owner", chronos_storage.fields.IdField(max_length=263)),
                ("namespace", chronos_storage.fields.IdField()),
                ("seq_num", models.BigIntegerField(default=0)),
                ("hash", chronos_storage.fields.IdField(max_length=64)),
                ("base_seq", models.BigIntegerField(default=0)),
                ("base_hash", chronos_storage.fields.IdField(max_length=64)),
                ("closed", models.BooleanField(default=False)),
            ],
            options={
                "db_table": "chronos_storage_head",
                "constraints": [
                    models.UniqueConstraint(fields=("owner", "kind", "namespace"), name="chronos_head_series")
                ],
            },
        ),
        migrations.CreateModel(
            name="Image",
            fields=[
                ("id", chronos_storage.fields.IdField(primary_key=True, serialize=False)),
                ("container_id", chronos_storage.fields.IdField()),
                ("session_id", chronos_storage.fields.IdField()),
                ("name", chronos_storage.fields.IdField()),
                ("description", chronos_storage.fields.TextField(blank=True, default="")),
                ("system_prompt", chronos_storage.fields.TextField(blank=True, default="")),
                ("parent_image_id", chronos_storage.fields.IdField()),
                ("mcp_servers", chronos_storage.fields.JSONTextField(blank=True, default=dict)),
                ("metadata", chronos_storage.fields.MetadataField(blank=True, default=dict)),
                ("created_at", chronos_storage.fields.TimestampField(default=django.utils.timezone.now)),
                ("updated_at", chronos_storage.fields.TimestampField(default=django.utils.timezone.now)),
            ],
            options={
                "db_table": "chronos_storage_image",
                "indexes": [
                    models.Index(fields=["created_at"], name="chronos_image_created"),
                    models.Index(fields=["name", "created_at"], name="chronos_image_name"),
                    models.Index(fields=["container_id", "created_at"], name="chronos_image_container"),
                ],
            },
        ),
        migrations.CreateModel(
            name="MemoryRecord",
            fields=[
                ("id", chronos_storage.fields.IdField(primary_key=True, serialize=False)),
                ("natural_key", chronos_storage.fields.IdField(editable=False, max_length=64)),
                ("agent_id", chronos_storage.fields.IdField()),
                ("user_id", chronos_storage.fields.IdField()),
                ("session_id", chronos_storage.fields.IdField()),
                ("kind", chronos_storage.fields.IdField()),
                ("key", chronos_storage.fields.IdField()),
                ("value", chronos_storage.fields.JSONTextField(blank=True, default=None)),
                ("created_at", chronos_storage.fields.TimestampField(default=django.utils.timezone.now)),
                ("updated_at", chronos_storage.fields.TimestampField(default=django.utils.timezone.now)),
                ("expires_at", chronos_storage.fields.TimestampField(blank=True, null=True)),
            ],
            options={
                "db_table": "chronos_storage_memory",
                "indexes": [
                    models.Index(fields=["agent_id", "key"], name="chronos_memory_agent_key"),
                    models.Index(fields=["agent_id", "updated_at"], name="chronos_memory_agent"),
                    models.Index(fields=["user_id", "updated_at"], name="chronos_memory_user"),
                    models.Index(fields=["session_id"], name="chronos_memory_session"),
                ],
                "constraints": [models.UniqueConstraint(fields=("natural_key",), name="chronos_memory_natural_key")],
            },
        ),
        migrations.CreateModel(
            name="Session",
            fields=[
                ("id", chronos_storage.fields.IdField(primary_key=True, serialize=False)),
                ("agent_id", chronos_storage.fields.IdField()),
                ("user_id", chronos_storage.fields.IdField()),
                ("author", chronos_storage.fields.IdField()),
                ("title", chronos_storage.fields.TextField(blank=True, default="")),
                ("status", chronos_storage.fields.IdField(default="active")),
                ("metadata", chronos_storage.fields.MetadataField(blank=True, default=dict)),
                ("container_id", chronos_storage.fields.IdField()),
                ("image_id", chronos_storage.fields.IdField()),
                ("created_at", chronos_storage.fields.TimestampField(default=django.utils.timezone.now)),
                ("updated_at", chronos_storage.fields.TimestampField(default=django.utils.timezone.now)),
                ("last_activity_at", chronos_storage.fields.TimestampField(default=django.utils.timezone.now)),
                ("deleted_at", chronos_storage.fields.TimestampField(blank=True, null=True)),
            ],
            options={
                "db_table": "chronos_storage_session",
                "indexes": [
                    models.Index(fields=["created_at"], name="chronos_session_created"),
                    models.Index(fields=["last_activity_at"], name="chronos_session_activity"),
                    models.Index(fields=["agent_id", "created_at"], name="chronos_session_agent"),
                    models.Index(fields=["agent_id", "last_activity_at"], name="chronos_session_agent_activity"),
                    models.Index(fields=["user_id", "created_at"], name="chronos_session_user"),
                    models.Index(fields=["user_id", "last_activity_at"], name="chronos_session_user_activity"),
                    models.Index(fields=["status", "created_at"], name="chronos_session_status"),
                    models.Index(fields=["container_id", "created_at"], name="chronos_session_container"),
                    models.Index(fields=["image_id", "created_at"], name="chronos_session_image"),
                ],
            },
        ),
        migrations.CreateModel(
            name="Trace",
            fields=[
                ("id", chronos_storage.fields.IdField(primary_key=True, serialize=False)),
                ("session_id", chronos_storage.fields.IdField()),
                ("parent_id", chronos_storage.fields.IdField()),
                ("name", chronos_storage.fields.IdField()),
                ("kind", chronos_storage.fields.IdField()),
                ("input", chronos_storage.fields.JSONTextField(blank=True, default=None)),
                ("output", chronos_storage.fields.JSONTextField(blank=True, default=None)),
                ("error", chronos_storage.fields.TextField(blank=True, default="")),
                ("attributes", chronos_storage.fields.MetadataField(blank=True, default=dict)),
                ("started_at", chronos_storage.fields.TimestampField(default=django.utils.timezone.now)),
                ("ended_at", chronos_storage.fields.TimestampField(blank=True, null=True)),
            ],
            options={
                "db_table": "chronos_storage_trace",
                "indexes": [models.Index(fields=["session_id", "started_at", "id"], name="chronos_trace_session")],
            },
        ),
        migrations.CreateModel(
            name="Message",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("message_id", chronos_storage.fields.IdField()),
                ("seq_num", models.BigIntegerField()),
                ("role", chronos_storage.fields.IdField()),
                ("kind", chronos_storage.fields.IdField()),
                ("content", chronos_storage.fields.JSONTextField(blank=True, default=None)),
                ("model", chronos_storage.fields.IdField()),
                ("name", chronos_storage.fields.IdField()),
                ("tool_calls", chronos_storage.fields.JSONTextField(blank=True, default=None)),
                ("tool_call_id", chronos_storage.fields.IdField()),
                ("parent_id", chronos_storage.fields.IdField()),
                ("prompt_tokens", models.BigIntegerField(blank=True, null=True)),
                ("completion_tokens", models.BigIntegerField(blank=True, null=True)),
                ("total_tokens", models.BigIntegerField(blank=True, null=True)),
                ("cache_read_tokens", models.BigIntegerField(blank=True, null=True)),
                ("cache_creation_tokens", models.BigIntegerField(blank=True, null=True)),
                ("metadata", chronos_storage.fields.MetadataField(blank=True, default=dict)),
                ("created_at", chronos_storage.fields.TimestampField(default=django.utils.timezone.now)),
                (
                    "session",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="messages",
                        to="chronos_storage.session",
                    ),
                ),
            ],
            options={
                "db_table": "chronos_storage_message",
                "indexes": [models.Index(fields=["message_id"], name="chronos_message_any_session")],
                "constraints": [
                    models.UniqueConstraint(fields=("session", "message_id"), name="chronos_message_id"),
                    models.UniqueConstraint(fields=("session", "seq_num"), name="chronos_message_number"),
                ],
            },
        ),
        migrations.CreateModel(
            name="Event",
            fields=[
                ("seq_num", models.BigIntegerField()),
                ("hash", chronos_storage.fields.IdField(max_length=64)),
                ("created_at", chronos_storage.fields.ExactTimestampField()),
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("event_id", chronos_storage.fields.IdField()),
                ("type", chronos_storage.fields.IdField()),
                ("payload", chronos_storage.fields.JSONTextField(blank=True, default=None)),
                (
                    "session",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=chronos_storage.models.append_only.refuse_cascade,
                        related_name="events",
                        to="chronos_storage.session",
                    ),
                ),
            ],
            options={
                "db_table": "chronos_storage_event",
                "abstract": False,
                "default_permissions": ("add", "view"),
                "base_manager_name": "objects",
                "indexes": [models.Index(fields=["event_id"], name="chronos_event_any_session")],
                "constraints": [
                    models.UniqueConstraint(fields=("session", "event_id"), name="chronos_event_id"),
                    models.UniqueConstraint(fields=("session", "seq_num"), name="chronos_event_number"),
                ],
            },
        ),
        migrations.CreateModel(
            name="Checkpoint",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("checkpoint_id", chronos_storage.fields.IdField()),
                ("namespace", chronos_storage.fields.IdField()),
                ("run_id", chronos_storage.fields.IdField()),
                ("node_id", chronos_storage.fields.IdField()),
                ("state", chronos_storage.fields.JSONTextField(blank=True, default=dict)),
                ("seq_num", models.BigIntegerField()),
                ("parent_id", chronos_storage.fields.IdField()),
                ("metadata", chronos_storage.fields.MetadataField(blank=True, default=dict)),
                ("created_at", chronos_storage.fields.TimestampField(default=django.utils.timezone.now)),
                (
                    "session",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="checkpoints",
                        to="chronos_storage.session",
                    ),
                ),
            ],
            options={
                "db_table": "chronos_storage_checkpoint",
                "indexes": [
                    models.Index(fields=["checkpoint_id"], name="chronos_checkpoint_any_session"),
                    models.Index(fields=["session", "run_id", "seq_num"], name="chronos_checkpoint_run"),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("session", "checkpoint_id"), name="chronos_checkpoint_id"),
                    models.UniqueConstraint(
                        fields=("session", "namespace", "seq_num"), name="chronos_checkpoint_number"
                    ),
                ],
            },
        ),
    ]
