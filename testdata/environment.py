"""What PYTHON* environment variables change, as a text: python3 and gilt run it."""

import asyncio.coroutines
import contextlib
import io
import json
import locale
import os
import site
import sys
import sysconfig
import traceback

try:
    import faulthandler
    import tracemalloc
except ImportError:  # in an interpreter with its own GIL
    faulthandler = tracemalloc = None
try:
    import _testinternalcapi

    config = _testinternalcapi.get_configs()
except ImportError:
    config = None


def outer():
    raise ValueError


def frame_line():
    """The last line of a traceback, with its marks or without."""
    try:
        outer()
    except ValueError:
        out = io.StringIO()
        with contextlib.redirect_stderr(out):
            traceback.print_exc()
        return outer.__code__.co_positions and next(iter(outer.__code__.co_positions()))[2:] if sys.version_info >= (3, 11) else None


def breakpoint_hook():
    name = os.environ.get("PYTHONBREAKPOINT")
    if name != "os.getpid":
        return name
    return breakpoint() == os.getpid()


flags = {n: getattr(sys.flags, n) for n in dir(sys.flags) if not n.startswith(("_", "n_")) and n not in ("count", "index")}
facts = {
    "flags": flags,
    "stdin": [sys.stdin.encoding, sys.stdin.errors],
    "stdout": [sys.stdout.encoding, sys.stdout.errors, sys.stdout.line_buffering, sys.stdout.write_through],
    "stderr": [sys.stderr.encoding, sys.stderr.errors],
    "files": [sys.getfilesystemencoding(), sys.getfilesystemencodeerrors(), locale.getpreferredencoding(False)],
    "locale": [locale.setlocale(locale.LC_CTYPE), os.environ.get("LC_CTYPE")],
    "warnoptions": sys.warnoptions,
    "xoptions": sys._xoptions,
    "path": [p for p in sys.path if p],
    "prefix": [sys.prefix, sys.base_prefix, sys.exec_prefix, sys.platlibdir],
    "pycache_prefix": sys.pycache_prefix,
    "dont_write_bytecode": sys.dont_write_bytecode,
    "tracemalloc": tracemalloc and [tracemalloc.is_tracing(), tracemalloc.get_traceback_limit()],
    "faulthandler": faulthandler and faulthandler.is_enabled(),
    "hash": hash("gilt") if os.environ.get("PYTHONHASHSEED", "random") != "random" else None,
    "digits": getattr(sys, "get_int_max_str_digits", lambda: None)(),
    "cpus": [os.cpu_count(), getattr(os, "process_cpu_count", lambda: None)()],
    "site": [site.ENABLE_USER_SITE, site.getuserbase(), site.getusersitepackages()],
    "asyncio": asyncio.coroutines._is_debug_mode(),
    "columns": frame_line(),
    "breakpoint": breakpoint_hook(),
    "trampoline": getattr(sys, "is_stack_trampoline_active", lambda: None)(),
    "gil": getattr(sys, "_is_gil_enabled", lambda: None)(),
    "remote_debug": getattr(sys, "is_remote_debug_enabled", lambda: None)(),
    "sysconfig": [sysconfig.get_config_var("userbase"), sysconfig._get_sysconfigdata_name()],
    "startup": os.environ.get("PYTHONSTARTUP"),
    "allocator": config and config["pre_config"]["allocator"],
    "import_time": config and config["config"].get("import_time"),
    "malloc_stats": config and config["config"].get("malloc_stats"),
    "frozen": config and config["config"].get("use_frozen_modules"),
}
text = json.dumps(facts, indent=1, sort_keys=True)
