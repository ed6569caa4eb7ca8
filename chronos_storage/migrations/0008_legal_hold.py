from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("chronos_storage", "0007_artifacts"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="session",
            options={
                "permissions": (("hold_session", "Can set and lift legal holds"),),
                "verbose_name": "session",
                "verbose_name_plural": "sessions",
            },
        ),
        migrations.AddField(
            model_name="session",
            name="legal_hold",
            field=models.BooleanField(db_default=False, default=False, editable=False),
        ),
    ]
