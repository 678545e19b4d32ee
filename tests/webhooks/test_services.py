"""A service begins with its caller's team, whatever row it is handed."""

from __future__ import annotations

import pytest

from console.common.errors import NotFound
from console.webhooks.models import Webhook
from console.webhooks.services import change_webhook, create_webhook, ping, redeliver, rotate_secret
from tests import factories


def test_another_teams_webhook_is_not_there(db: None) -> None:
    ours = factories.make_member(factories.make_team("ours"))
    theirs = factories.make_member(factories.make_team("theirs"))
    webhook, _secret = create_webhook(ours, name="ci", url="https://example.com/hook")
    delivery = ping(ours, webhook)
    with pytest.raises(NotFound):
        change_webhook(theirs, webhook, name="mine")
    with pytest.raises(NotFound):
        rotate_secret(theirs, webhook)
    with pytest.raises(NotFound):
        redeliver(theirs, delivery)
    assert Webhook.objects.get(pk=webhook.pk).name == "ci"
