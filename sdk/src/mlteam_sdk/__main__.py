"""`python -m mlteam_sdk` is the `mlteam` command."""

from mlteam_sdk.cli import main

main()
