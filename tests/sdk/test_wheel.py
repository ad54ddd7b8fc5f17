"""What is in the wheel, and what importing it loads."""

import ast
import json
import re
import subprocess
import zipfile
from email.parser import Parser
from pathlib import Path

from tests.sdk.conftest import SOURCE

HEAVY = {"httpx", "pydantic", "yaml", "click", "asyncio", "ssl", "logging", "json"}


def loaded(installed: Path, code: str) -> set[str]:
    """Of HEAVY, what a fresh Python has loaded after this code."""
    script = f"import sys; bare = set(sys.modules)\n{code}\nprint(*(set(sys.modules) - bare))"
    done = subprocess.run([installed / "python", "-I", "-c", script], capture_output=True, text=True, check=True)
    return HEAVY & set(done.stdout.split())


def test_only_the_package_is_in_it(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    strange = [name for name in names if not re.match(r"mlteam_sdk/[\w/]+\.py$|mlteam_sdk-[\d.]+\.dist-info/", name)]
    assert strange == ["mlteam_sdk/py.typed"]
    assert any(name.endswith("/LICENSE") for name in names)
    assert not [name for name in names if "test" in name]


def test_it_says_what_it_is(wheel):
    with zipfile.ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith("/METADATA")]
        said = Parser().parsestr(archive.read(name).decode())
        points = archive.read(name.replace("METADATA", "entry_points.txt")).decode()
        source = archive.read("mlteam_sdk/__init__.py").decode()
    assert said["Name"] == "mlteam-sdk"
    assert f'__version__ = "{said["Version"]}"' in source
    assert said["Requires-Python"] == ">=3.10"
    assert said["License-Expression"] == "MIT"
    assert "mlteam = mlteam_sdk.cli:main" in points
    assert "pip install mlteam-sdk" in said.get_payload()


def test_the_environment_has_what_it_needs_and_nothing_of_the_server(installed):
    code = "import importlib.metadata as m; print(*sorted(d.name.lower() for d in m.distributions()))"
    done = subprocess.run([installed / "python", "-c", code], capture_output=True, text=True, check=True)
    there = set(done.stdout.split())
    assert "mlteam-sdk" in there and "httpx" in there
    assert not there & {"django", "pytest", "mlteam"}


def test_importing_loads_nothing_heavy(installed):
    assert loaded(installed, "import mlteam_sdk") == set()
    assert loaded(installed, "from mlteam_sdk import MLTeamError") == set()


def test_plain_requests_need_no_models(installed):
    assert "pydantic" not in loaded(
        installed, "from mlteam_sdk.sync import MLTeam\nMLTeam(url='http://localhost:1', token='mlt_x')"
    )


def test_all_names_are_there(installed):
    code = "import mlteam_sdk as m, json; print(json.dumps([n for n in m.__all__ if getattr(m, n, None) is None]))"
    done = subprocess.run([installed / "python", "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []


def test_the_twins_have_the_same_verbs():
    def verbs(which: str) -> dict[str, set[str]]:
        found = {}
        for path in (SOURCE / "src" / "mlteam_sdk" / which).glob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.ClassDef):
                    inner = (ast.FunctionDef, ast.AsyncFunctionDef)
                    found[node.name] = {one.name for one in node.body if isinstance(one, inner) and one.name[0] != "_"}
        return found

    assert verbs("aio") == verbs("sync")
