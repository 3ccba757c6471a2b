"""Check that the code stays small: functions of at most 70 lines, modules of at most 500, a median function near 10."""

from __future__ import annotations

import argparse
import ast
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path

FUNCTION_LINES_MAX = 70
FUNCTION_LINES_MEDIAN_MAX = 12
MODULE_LINES_MAX = 500


def main() -> int:
    """Print what is too large and a summary; 1 when something is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    modules = sorted(path for folder in parser.parse_args().folders for path in folder.rglob("*.py"))
    lengths: list[int] = []
    findings: list[str] = []
    for module in modules:
        text = module.read_text()
        lines = len(text.splitlines())
        if lines > MODULE_LINES_MAX:
            findings.append(f"{module}: {lines} lines, at most {MODULE_LINES_MAX}")
        for name, line, length in _functions(ast.parse(text)):
            lengths.append(length)
            if length > FUNCTION_LINES_MAX:
                findings.append(f"{module}:{line}: {name} has {length} lines, at most {FUNCTION_LINES_MAX}")
    median = statistics.median(lengths)
    if median > FUNCTION_LINES_MEDIAN_MAX:
        findings.append(f"the median function has {median} lines, at most {FUNCTION_LINES_MEDIAN_MAX}")
    sys.stdout.writelines(f"{finding}\n" for finding in findings)
    sys.stdout.write(
        f"{len(modules)} modules, {len(lengths)} functions: longest {max(lengths)} lines, median {median:g}\n"
    )
    return 1 if findings else 0


def _functions(tree: ast.Module) -> Iterator[tuple[str, int, int]]:
    """Name, first line and length of every function, its docstring not counted."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or node.end_lineno is None:
            continue
        docstring = ast.get_docstring(node, clean=False)
        documented = 0 if docstring is None else docstring.count("\n") + 1
        yield node.name, node.lineno, node.end_lineno - node.lineno + 1 - documented


if __name__ == "__main__":
    sys.exit(main())
