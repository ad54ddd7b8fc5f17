"""`python -I -S runner/__main__.py <attempt directory> <descriptor of its runner.lock>`: one runner, until the server has everything."""

import os
import sys

if __name__ == "__main__":
    sys.path.append(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    from runner import life

    sys.exit(life.main(sys.argv[1], int(sys.argv[2])))
