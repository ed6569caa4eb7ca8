from django.db import migrations, models

import chronos_storage.fields


class Migration(migrations.Migration):
    dependencies = [
        ("chronos_storage", "0003_inspection"),
    ]

    operations = [
        # Workers of the version before go on without it.
        migrations.AddField(
            model_name="queueentry",
            name="key",
            field=chronos_storage.fields.IdField(default=None, null=True),  # type: ignore[misc]
        ),
        migrations.AddConstraint(
            model_name="queueentry",
            constraint=models.UniqueConstraint(fields=("topic", "key"), name="chronos_queueentry_key"),
        ),
    ]
