from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from console.accounts.models import User
from console.accounts.services import create_sign_in_link


class Command(BaseCommand):
    help = "Print a one-time sign-in link for a user (the first one by default)."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--email")

    def handle(self, *args: Any, **options: Any) -> None:
        users = User.objects.filter(is_active=True).order_by("created_at")
        user = users.filter(email__iexact=options["email"]).first() if options["email"] else users.first()
        if user is None:
            raise CommandError("There is no such user.")
        self.stdout.write(f"{settings.BERTH_URL}/sign-in/{create_sign_in_link(user)}/")
