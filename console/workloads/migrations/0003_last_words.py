from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("workloads", "0002_explanations_and_update_config"),
    ]

    operations = [
        migrations.AddField(
            model_name="container",
            name="oom_events",
            field=models.IntegerField(default=0),
        ),
        migrations.AddField(
            model_name="container",
            name="log_lost",
            field=models.CharField(blank=True, max_length=400),
        ),
    ]
