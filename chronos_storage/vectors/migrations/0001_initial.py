import django.core.validators
import django.db.models.deletion
from django.db import migrations, models

import chronos_storage.fields
import chronos_storage.vectors.fields
from chronos_storage.vectors.extension import CreateVectorExtension


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        CreateVectorExtension(),
        migrations.CreateModel(
            name="Collection",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("name", chronos_storage.fields.IdField(unique=True)),
                ("dimension", models.PositiveIntegerField(validators=[django.core.validators.MinValueValidator(1)])),
                ("metric", chronos_storage.fields.IdField()),
                ("version", chronos_storage.fields.IdField(editable=False)),
                ("m", models.PositiveSmallIntegerField(default=16)),
                ("ef_construction", models.PositiveSmallIntegerField(default=64)),
                ("ef_search", models.PositiveSmallIntegerField(default=64)),
            ],
            options={
                "db_table": "chronos_vectors_collection",
            },
        ),
        migrations.CreateModel(
            name="Embedding",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("embedding_id", chronos_storage.fields.IdField()),
                ("vector", chronos_storage.vectors.fields.VectorField()),
                ("content", chronos_storage.vectors.fields.ContentField(blank=True, default="")),
                ("metadata", chronos_storage.fields.MetadataField(blank=True, default=dict)),
                ("user_id", chronos_storage.fields.IdField()),
                (
                    "collection",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="embeddings",
                        to="chronos_vectors.collection",
                    ),
                ),
            ],
            options={
                "db_table": "chronos_vectors_embedding",
                "constraints": [
                    models.UniqueConstraint(fields=("collection", "embedding_id"), name="chronos_vectors_embedding_id")
                ],
            },
        ),
    ]
