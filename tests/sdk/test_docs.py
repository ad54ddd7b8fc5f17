"""The examples of docs/sdk.md and of the package's own page, run as they stand."""

import re
import subprocess
import sys

from tests.sdk.conftest import SOURCE

NOTEBOOK = """
import ast, asyncio, inspect, pathlib, sys
async def main():
    names = {}
    for block in pathlib.Path(sys.argv[1]).read_text().split("\\0"):
        done = eval(compile(block, "example", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), names)
        if inspect.isawaitable(done):
            await done
    if "client" in names and inspect.iscoroutinefunction(names["client"].close):
        await names["client"].close()
asyncio.run(main())
"""
TRAIN = """
import os, pathlib
for epoch in range(3):
    print("epoch", epoch)
(pathlib.Path(os.environ["MLTEAM_OUTPUT"]) / "model.bin").write_bytes(bytes(100))
"""


def blocks(path: str) -> list[str]:
    """The Python of a page, block by block."""
    return re.findall(r"^```python\n(.*?)^```$", (SOURCE.parent / path).read_text(), re.M | re.S)


def test_the_reference_is_what_the_code_says():
    done = subprocess.run([sys.executable, SOURCE / "reference.py", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, f"{done.stderr} (make docs)"


def test_the_examples_of_the_guide_run(site, tmp_path):
    (tmp_path / "train.py").write_text(TRAIN)
    (tmp_path / "job.yml").write_text("name: planned\ncommand: 'true'\n")
    (tmp_path / "data" / "train").mkdir(parents=True)
    (tmp_path / "data" / "train" / "0.txt").write_text("nought")
    (tmp_path / "hub.token").write_text("hf_abcdefghijklmnop\n")
    (tmp_path / "blocks").write_text("\0".join(blocks("docs/sdk.md")))
    said = site.python("ada", NOTEBOOK, "blocks", directory=tmp_path)
    known = (
        "ada",
        f"The id of Vision is {site.vision}.",
        "epoch 2",
        "succeeded 0",
        "model.bin 100",
        "0 3 complete",
        "hello",
        "1 1 files, 6 bytes sent",
        "1 fetched, 0 there already",
        "0 changes",
        "file 0.txt 6",
        "b'nought'",
        "directory train 0",
        "file train/0.txt 6",
        "1 fetched []",
    )
    assert [one for one in known if one not in said] == []
    assert (tmp_path / "results" / "model.bin").read_bytes() == bytes(100)


def test_the_example_of_the_package_runs(site):
    [script] = blocks("sdk/README.md")
    assert "hello" in site.python("ada", script).splitlines()
