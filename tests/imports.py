"""Which local modules a module imports, read from its source, function bodies included."""

import ast
from functools import cache
from pathlib import Path

from components.settings.paths import ROOT


@cache
def imports_of(module: str) -> frozenset[str]:
    """Names of the local modules that `module` imports anywhere in its source, function bodies included."""
    return frozenset(imports_within(ast.parse(_file(module).read_text(encoding="utf-8"))))


def imports_within(tree: ast.AST) -> set[str]:
    """Names of the local modules that a parsed source imports."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return {name for name in names if name.split(".")[0] in ("components", "flows") and _file(name)}


def _file(module: str) -> Path | None:
    base = ROOT.joinpath(*module.split("."))
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return path
    return None
