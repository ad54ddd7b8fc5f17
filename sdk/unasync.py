"""Writes mlteam_sdk/sync from mlteam_sdk/aio, so that nothing is written twice: python sdk/unasync.py [--check]

`driver.py` of each is written by hand: it is all that differs.
"""

import re
import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).parent / "src" / "mlteam_sdk"
HEAD = "# Made from aio/{name} by sdk/unasync.py; change that.\n"
BY_HAND = {"driver.py"}

WORDS = [
    (r"\basync (def|with|for)\b", r"\1"),
    (r"\bawait ", ""),
    (r"\bmlteam_sdk\.aio\b", "mlteam_sdk.sync"),
    (r"\bAsyncGenerator\[(.+), None\]", r"Generator[\1, None, None]"),
    (r"\bAsyncGenerator\b", "Generator"),
    (r"\bAsyncClient\b", "Client"),
    (r"\basynccontextmanager\b", "contextmanager"),
    (r"\baclosing\b", "closing"),
    (r"\bAsyncExitStack\b", "ExitStack"),
    (r"\b__a(enter|exit|iter|next)__\b", r"__\1__"),
    (r"\ba(close|read|iter_raw|iter_bytes)\b", r"\1"),
    (r"\bwhose methods are awaited\b", "whose methods wait themselves"),
]


def made(source: str, name: str) -> str:
    """The same without await."""
    for pattern, word in WORDS:
        source = re.sub(pattern, word, source)
    source = _ruff("check", "--quiet", "--fix-only", "--select", "I", source=HEAD.format(name=name) + source)
    return _ruff("format", source=source)


def _ruff(*command: str, source: str) -> str:
    words = [sys.executable, "-m", "ruff", *command, "--stdin-filename", str(PACKAGE / "sync" / "x.py"), "-"]
    return subprocess.run(words, input=source, capture_output=True, text=True, check=True).stdout


def main(arguments: list[str]) -> int:
    stale = []
    for path in sorted((PACKAGE / "aio").glob("*.py")):
        target = PACKAGE / "sync" / path.name
        text = made(path.read_text("utf-8"), path.name)
        if path.name in BY_HAND or (target.exists() and target.read_text("utf-8") == text):
            continue
        stale.append(target.name)
        if "--check" not in arguments:
            target.write_text(text, "utf-8")
    if stale and "--check" in arguments:
        sys.stderr.write(f"sync is not what aio makes it: {', '.join(stale)}. Run python sdk/unasync.py.\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
