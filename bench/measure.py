"""`python -m bench.measure NAME`: one measurement in this process; prints its figures as lines of JSON."""

import importlib
import signal
import sys

from bench import server


def main(name: str) -> None:
    """Runs `bench.<name>.measure(var)`, whatever happens removing what it made."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    var = server.prepare_environment()
    try:
        for figure in importlib.import_module(f"bench.{name}").measure(var):
            print(figure.as_line(), flush=True)
    finally:
        server.remove(var)


if __name__ == "__main__":
    main(sys.argv[1])
