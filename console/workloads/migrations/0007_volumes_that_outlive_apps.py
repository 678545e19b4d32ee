from typing import Any

import django.db.models.deletion
from django.db import migrations, models


def fill(apps: Any, _schema: Any) -> None:
    for volume in apps.get_model("workloads", "Volume").objects.select_related("app"):
        volume.team_id, volume.app_ref, volume.app_name = volume.app.team_id, volume.app.id, volume.app.name
        volume.save(update_fields=["team", "app_ref", "app_name"])


class Migration(migrations.Migration):

    dependencies = [
        ("accounts", "0002_log_retention"),
        ("workloads", "0006_secrets"),
    ]

    operations = [
        migrations.AddField("volume", "team", models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name="volumes", to="accounts.team")),
        migrations.AddField("volume", "app_ref", models.CharField(db_index=True, default="", max_length=16), preserve_default=False),
        migrations.AddField("volume", "app_name", models.CharField(default="", max_length=40), preserve_default=False),
        migrations.AddField("volume", "kept_at", models.DateTimeField(null=True)),
        migrations.AddField("volume", "deleting", models.BooleanField(default=False)),
        migrations.AddField("volume", "forget", models.BooleanField(default=False)),
        migrations.AddField("volume", "bytes", models.BigIntegerField(null=True)),
        migrations.AddField("volume", "measured_at", models.DateTimeField(null=True)),
        migrations.RunPython(fill, migrations.RunPython.noop, elidable=True),
    ]
