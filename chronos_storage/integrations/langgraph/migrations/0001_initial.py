import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

import chronos_storage.fields
import chronos_storage.indexes


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("chronos_storage", "0009_erased"),
    ]

    operations = [
        migrations.CreateModel(
            name="Thread",
            fields=[
                (
                    "session",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="+",
                        serialize=False,
                        to="chronos_storage.session",
                    ),
                ),
                ("thread_id", chronos_storage.fields.TextField()),
                ("deleted", models.BooleanField(default=False)),
            ],
            options={
                "verbose_name": "thread",
                "verbose_name_plural": "threads",
                "db_table": "chronos_langgraph_thread",
            },
        ),
        migrations.CreateModel(
            name="StoredItem",
            fields=[
                ("place", chronos_storage.fields.IdField(primary_key=True, serialize=False)),
                ("namespace", chronos_storage.fields.TextField()),
                ("key", chronos_storage.fields.TextField()),
                ("value", chronos_storage.fields.JSONTextField(default=dict)),
                ("created_at", chronos_storage.fields.TimestampField(default=django.utils.timezone.now)),
                ("updated_at", chronos_storage.fields.TimestampField(default=django.utils.timezone.now)),
                ("ttl", models.FloatField(blank=True, null=True)),
                ("expires_at", chronos_storage.fields.TimestampField(blank=True, null=True)),
            ],
            options={
                "verbose_name": "item of the store",
                "verbose_name_plural": "items of the store",
                "db_table": "chronos_langgraph_item",
                "indexes": [
                    models.Index(
                        condition=models.Q(("expires_at__isnull", False)),
                        fields=["expires_at"],
                        name="chronos_langgraph_item_expiry",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Namespace",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("key", chronos_storage.fields.IdField()),
                ("name", chronos_storage.fields.TextField(blank=True, default="")),
                ("version", models.BigIntegerField(default=0)),
                ("ends", chronos_storage.fields.TextField(default="{}")),
                (
                    "thread",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="namespaces",
                        to="chronos_langgraph.thread",
                    ),
                ),
            ],
            options={
                "verbose_name": "namespace",
                "verbose_name_plural": "namespaces",
                "db_table": "chronos_langgraph_namespace",
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="GraphWrite",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("checkpoint_id", chronos_storage.fields.IdField()),
                ("task_id", chronos_storage.fields.IdField()),
                ("idx", models.IntegerField()),
                ("task_path", chronos_storage.fields.TextField(blank=True, default="")),
                ("channel", chronos_storage.fields.TextField()),
                ("type", chronos_storage.fields.IdField(max_length=64)),
                ("data", models.BinaryField()),
                (
                    "namespace",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="writes",
                        to="chronos_langgraph.namespace",
                    ),
                ),
            ],
            options={
                "verbose_name": "pending write",
                "verbose_name_plural": "pending writes",
                "db_table": "chronos_langgraph_write",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("namespace", "checkpoint_id", "task_id", "idx"), name="chronos_langgraph_write_place"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="GraphItems",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("channel", chronos_storage.fields.IdField()),
                ("start", models.BigIntegerField()),
                ("stop", models.BigIntegerField()),
                ("entries", models.BinaryField()),
                ("items", models.BinaryField()),
                (
                    "namespace",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="chronos_langgraph.namespace",
                    ),
                ),
            ],
            options={
                "verbose_name": "items of channels",
                "verbose_name_plural": "items of channels",
                "db_table": "chronos_langgraph_items",
                "default_permissions": (),
                "constraints": [
                    models.UniqueConstraint(
                        fields=("namespace", "channel", "start"), name="chronos_langgraph_items_place"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="GraphCheckpoint",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("checkpoint_id", chronos_storage.fields.IdField()),
                ("parent_id", chronos_storage.fields.IdField()),
                ("run_id", chronos_storage.fields.IdField()),
                ("type", chronos_storage.fields.IdField(max_length=64)),
                ("data", models.BinaryField()),
                ("places", chronos_storage.fields.TextField()),
                ("main", chronos_storage.fields.IdField()),
                ("main_start", models.BigIntegerField(default=0)),
                ("main_stop", models.BigIntegerField(default=0)),
                ("metadata", chronos_storage.fields.MetadataField(blank=True, default=dict)),
                ("created_at", chronos_storage.fields.TimestampField(default=django.utils.timezone.now)),
                (
                    "namespace",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="checkpoints",
                        to="chronos_langgraph.namespace",
                    ),
                ),
            ],
            options={
                "verbose_name": "checkpoint",
                "verbose_name_plural": "checkpoints",
                "db_table": "chronos_langgraph_checkpoint",
                "indexes": [chronos_storage.indexes.GivenIndex(fields=["run_id"], name="chronos_langgraph_run")],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("namespace", "checkpoint_id"), name="chronos_langgraph_checkpoint_id"
                    )
                ],
            },
        ),
        migrations.AddConstraint(
            model_name="namespace",
            constraint=models.UniqueConstraint(fields=("thread", "key"), name="chronos_langgraph_namespace_key"),
        ),
    ]
