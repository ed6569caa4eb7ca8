from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("chronos_storage", "0009_erased"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="session",
            options={
                "permissions": (
                    ("hold_session", "Can set and lift legal holds"),
                    ("remove_session", "Can remove sessions for good"),
                    ("purge_session", "Can purge sessions' events and audit entries"),
                ),
                "verbose_name": "session",
                "verbose_name_plural": "sessions",
            },
        ),
    ]
