#!/usr/bin/env python
"""The door to mlteam's administrative commands."""

import os
import sys

from django.core.management import execute_from_command_line

from projects import origin

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mlteam.settings")
    origin.is_command()
    execute_from_command_line(sys.argv)
