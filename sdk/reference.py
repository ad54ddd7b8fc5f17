"""Writes docs/sdk-reference.md from the SDK's code: python sdk/reference.py [--check]"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).parent / "src" / "mlteam_sdk"
PAGE = Path(__file__).parents[1] / "docs" / "sdk-reference.md"
SECTIONS = {
    "The client": ["aio/client.py", "aio/transport.py"],
    "Jobs": ["aio/jobs.py", "aio/artifacts.py", "checking.py", "logparts.py"],
    "Datasets, models, volumes": [
        "aio/datastores.py",
        "folders.py",
        "hashing.py",
        "manifests.py",
        "progress.py",
    ],
    "Projects, teams, roles": ["aio/people.py"],
    "Lists": ["aio/things.py"],
    "What a server tells": ["models.py"],
    "What can go wrong": ["errors.py", "landing.py", "specs.py"],
}
HEAD = """# The SDK's reference

Made from the code by `python sdk/reference.py`; [sdk.md](sdk.md) is the guide. Of `mlteam_sdk.sync` the same holds without `await`, and
with `for` in place of `async for`.
"""
INNER = {"Folder", "Landing", "Memory", "Meter", "Source", "State", "Stopped", "Wish"}
Function = ast.FunctionDef | ast.AsyncFunctionDef


def page() -> str:
    """All of it."""
    parts = [HEAD]
    for title, paths in SECTIONS.items():
        parts.append(f"## {title}\n")
        for path in paths:
            tree = ast.parse((SOURCE / path).read_text("utf-8"))
            classes = (node for node in tree.body if isinstance(node, ast.ClassDef) and _is_public(node.name))
            parts += ["\n".join(_class(node)) for node in classes]
    return "\n".join(parts)


def _is_public(name: str) -> bool:
    return name[0] != "_" and name not in INNER


def _class(node: ast.ClassDef) -> Iterator[str]:
    bases = [ast.unparse(base) for base in node.bases]
    named = f" ({', '.join(bases)})" if bases else ""
    yield f"### {node.name}{named}\n"
    if said := ast.get_docstring(node):
        yield f"{_paragraphs(said)}\n"
    fields = [_field(one) for one in node.body if isinstance(one, ast.AnnAssign)]
    if shown := [field for field in fields if field]:
        yield f"{', '.join(shown)}\n"
    verbs = [one for one in node.body if isinstance(one, Function) and _is_shown(node, one)]
    lines = [_verb(node, one) for one in verbs]
    if lines:
        yield "\n".join(lines) + "\n"


def _is_shown(owner: ast.ClassDef, node: Function) -> bool:
    return node.name[0] != "_" or (node.name == "__init__" and owner.name == "MLTeam")


def _field(node: ast.AnnAssign) -> str:
    name = ast.unparse(node.target)
    return "" if name[0] == "_" else f"`{name}: {ast.unparse(node.annotation)}`"


def _verb(owner: ast.ClassDef, node: Function) -> str:
    said = " ".join((ast.get_docstring(node) or "").split())
    said = f": {said}" if said else ""
    if node.name == "__init__":
        return f"- `{owner.name}({_arguments(node)})`{said}"
    returned = ast.unparse(node.returns).strip("'") if node.returns else ""
    if any(ast.unparse(one).endswith("property") for one in node.decorator_list):
        return f"- `{node.name}`: `{returned}`{said}"
    each = "AsyncGenerator" in returned
    managed = any("contextmanager" in ast.unparse(one) for one in node.decorator_list)
    wait = "async with " if managed else "async for … in " if each else "await "
    wait = wait if isinstance(node, ast.AsyncFunctionDef) else ""
    result = returned.partition("[")[2].rpartition(",")[0] if each else returned
    return f"- `{wait}{node.name}({_arguments(node)})`{f' → `{result}`' if result not in {'', 'None'} else ''}{said}"


def _arguments(node: Function) -> str:
    return ast.unparse(node.args).removeprefix("self").removeprefix("cls").removeprefix(", ")


def _paragraphs(text: str) -> str:
    """A docstring for a page: tables of names stay as they were set."""
    parts = text.split("\n\n")
    return "\n\n".join(
        part if part.startswith(("*", "-")) or "   " not in part else f"```text\n{part}\n```" for part in parts
    )


def main(arguments: list[str]) -> int:
    text = page()
    if "--check" not in arguments:
        PAGE.write_text(text, "utf-8")
    elif not PAGE.exists() or PAGE.read_text("utf-8") != text:
        sys.stderr.write("docs/sdk-reference.md is not what the code says. Run python sdk/reference.py.\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
