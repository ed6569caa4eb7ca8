import django.utils.timezone
from django.db import migrations, models

import chronos_storage.fields


class Migration(migrations.Migration):
    dependencies = [
        ("chronos_storage", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="Topic",
            fields=[
                ("name", chronos_storage.fields.IdField(max_length=263, primary_key=True, serialize=False)),
                ("seq_num", models.BigIntegerField(default=0)),
                ("base_seq", models.BigIntegerField(default=0)),
            ],
            options={
                "db_table": "chronos_storage_topic",
            },
        ),
        migrations.CreateModel(
            name="Consumer",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("topic", chronos_storage.fields.IdField(max_length=263)),
                ("name", chronos_storage.fields.IdField()),
                ("seq_num", models.BigIntegerField()),
                ("seen_at", chronos_storage.fields.TimestampField(default=django.utils.timezone.now)),
            ],
            options={
                "db_table": "chronos_storage_consumer",
                "constraints": [models.UniqueConstraint(fields=("topic", "name"), name="chronos_consumer_name")],
            },
        ),
        migrations.CreateModel(
            name="QueueEntry",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("topic", chronos_storage.fields.IdField(max_length=263)),
                ("seq_num", models.BigIntegerField()),
                ("event", chronos_storage.fields.JSONTextField(blank=True, default=None)),
                ("user_id", chronos_storage.fields.IdField()),
                ("created_at", chronos_storage.fields.TimestampField(default=django.utils.timezone.now)),
            ],
            options={
                "verbose_name_plural": "queue entries",
                "db_table": "chronos_storage_queueentry",
                "indexes": [models.Index(fields=["created_at"], name="chronos_queueentry_created")],
                "constraints": [models.UniqueConstraint(fields=("topic", "seq_num"), name="chronos_queueentry_number")],
            },
        ),
    ]
