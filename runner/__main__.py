"""`python -I -S runner/__main__.py <attempt directory>`: one runner, from the lock to the server's last acknowledgement."""

import os
import sys

if __name__ == "__main__":
    sys.path.append(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    from runner import life

    sys.exit(life.main(sys.argv[1]))
