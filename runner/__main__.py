"""`python -I -S runner/__main__.py <attempt directory> <descriptor of its runner.lock>`: one runner, until the server has everything."""

import gc
import os
import sys

gc.set_threshold(20_000)  # a runner makes little garbage; looking for it takes a tenth of a short job's time

if __name__ == "__main__":
    sys.path.append(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    from runner import life

    life.main(sys.argv[1], int(sys.argv[2]))
    sys.stdout.flush()
    os._exit(0)  # nothing is left that would want to be taken down
