#!/usr/bin/env python3
"""Django's command line for the console."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
    from django.core.management import execute_from_command_line  # noqa: PLC0415  (settings come first)

    from console.common import origin  # noqa: PLC0415

    if len(sys.argv) < 2 or sys.argv[1] == "controller":
        execute_from_command_line(sys.argv)
        return
    with origin.use(origin.Origin(agent=origin.plain(f"{origin.operator()} {sys.argv[1]}"))):
        execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
