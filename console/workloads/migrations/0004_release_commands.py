import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("workloads", "0003_last_words"),
    ]

    operations = [
        migrations.AlterField(
            model_name="release",
            name="state",
            field=models.CharField(
                choices=[
                    ("resolving", "Resolving images"),
                    ("preparing", "Running its release command"),
                    ("ready", "Ready"),
                    ("failed", "Failed"),
                ],
                default="resolving",
                max_length=16,
            ),
        ),
        migrations.AddField(
            model_name="service",
            name="is_command",
            field=models.BooleanField(default=False),
        ),
        migrations.AddField(
            model_name="rollout",
            name="failed_container",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="failed_rollouts",
                to="workloads.container",
            ),
        ),
    ]
