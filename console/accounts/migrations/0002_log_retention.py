import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("accounts", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="team",
            name="log_retention_days",
            field=models.PositiveSmallIntegerField(
                default=7, validators=[django.core.validators.MaxValueValidator(365)]
            ),
        ),
    ]
