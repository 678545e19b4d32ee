import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    """Apart from the one before: PostgreSQL alters no table whose rows the same transaction has changed."""

    dependencies = [
        ("workloads", "0007_volumes_that_outlive_apps"),
    ]

    operations = [
        migrations.AlterField("volume", "team", models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="volumes", to="accounts.team")),
        migrations.AlterField("volume", "app", models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="volumes", to="workloads.app")),
        migrations.AlterField("operation", "kind", models.CharField(choices=[("deploy", "Deploy"), ("rollback", "Roll back"), ("scale", "Scale"), ("restart", "Restart"), ("stop", "Stop"), ("start", "Start"), ("delete", "Delete"), ("volume", "Delete volume")], max_length=16)),
    ]
