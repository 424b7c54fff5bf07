"""What makes a program the real __main__, on Python's main thread. Only built-in modules are imported, so that the
program finds sys.modules as python3 leaves it."""

import os
import sys


def after(path0):
    """Another program has run before, with that sys.path[0]: this one gets a __main__ of its own."""
    import builtins

    if not isinstance(sys.path, list):  # what that program has left
        sys.path = list(sys.path or ())
    if path0 is not None and path0 in sys.path:
        sys.path.remove(path0)
    module = type(sys)("__main__")
    module.__builtins__ = builtins
    sys.modules["__main__"] = module


def prepare(argv, original, path0):
    sys.argv = argv
    sys.orig_argv = [sys.executable or "python3", *original]
    if path0 is not None and not sys.flags.isolated and not getattr(sys.flags, "safe_path", False) and (sys.flags.ignore_environment or not os.environ.get("PYTHONSAFEPATH")):
        sys.path.insert(0, path0)


def importable(path):
    """Whether path is a directory or an archive that can hold a __main__.py."""
    for hook in sys.path_hooks:
        try:
            hook(path)
            return True
        except ImportError:
            pass
    return False


def main(file, source_file=True):
    """The namespace of __main__, with what a script's has."""
    namespace = sys.modules["__main__"].__dict__
    if file is not None:
        from importlib import _bootstrap_external as loaders

        loader = loaders.SourceFileLoader if source_file else loaders.SourcelessFileLoader
        namespace["__file__"] = file
        if sys.version_info < (3, 15):
            namespace["__cached__"] = None
        namespace["__loader__"] = loader("__main__", file)
    return namespace


def dedent(source):
    """Since 3.14 python3 -c takes away the indentation that all lines have."""
    if sys.version_info < (3, 14):
        return source
    lines = source.split("\n")
    full = [line for line in lines if line.strip(" \t")]
    if not full:
        return source
    margin = os.path.commonprefix([line[: len(line) - len(line.lstrip(" \t"))] for line in full])
    return "\n".join(line[len(margin) :] if line.strip(" \t") else "" for line in lines)


def known_source(code, source):
    """Since 3.13 tracebacks show the lines of -c too."""
    if sys.version_info < (3, 13):
        return
    try:
        import linecache

        key = code if hasattr(linecache, "_getline_from_code") else "<string>"  # which the first 3.13s look for
        linecache._register_code(key, source, "<string>")
    except Exception:
        pass
