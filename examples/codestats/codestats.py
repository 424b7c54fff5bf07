"""What the Python stage of the codestats example counts in one source file."""

import ast
import warnings

warnings.simplefilter("ignore", SyntaxWarning)  # of the files' own making

BLOCKS = ("body", "orelse", "handlers", "finalbody", "cases")


def count(source: bytes) -> dict:
    """Counts functions, classes, lines, and how deep statements nest; "error" is set where there is no syntax tree."""
    lines = source.count(b"\n") + (not source.endswith(b"\n") and source != b"")
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as e:
        return {"lines": lines, "error": f"{type(e).__name__}: {e}"}
    functions = classes = depth = 0
    level = tree.body
    while level:
        depth += 1
        below = []
        for node in level:
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                functions += 1
            elif isinstance(node, ast.ClassDef):
                classes += 1
            for block in BLOCKS:
                below.extend(getattr(node, block, ()))
        level = below
    return {"functions": functions, "classes": classes, "lines": lines, "depth": depth}
