from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("chronos_vectors", "0002_names"),
    ]

    operations = [
        migrations.AddField(
            model_name="collection",
            name="worded",
            field=models.PositiveSmallIntegerField(db_default=0, default=0, editable=False),
        ),
    ]
