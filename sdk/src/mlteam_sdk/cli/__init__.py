"""The `mlteam` command."""


def main() -> None:
    """Runs it, and ends this process with its exit status."""
    from mlteam_sdk.cli.app import run

    run()
