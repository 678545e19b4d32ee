from django.db import migrations, models


class Migration(migrations.Migration):
    """What is there already goes to nobody: only events from now on are dispatched."""

    dependencies = [
        ('common', '0002_audit'),
    ]

    operations = [
        migrations.AddField(
            model_name='event',
            name='dispatched',
            field=models.BooleanField(db_default=True, default=True),
        ),
        migrations.AlterField(
            model_name='event',
            name='dispatched',
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.AddIndex(
            model_name='event',
            index=models.Index(condition=models.Q(('dispatched', False)), fields=['id'], name='event_undispatched'),
        ),
    ]
