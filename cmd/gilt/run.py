"""What `gilt run` does around a program, on Python's main thread. Only built-in modules are imported,
so that the program finds sys.modules as python3 leaves it."""

import _signal
import os
import sys

_GOES_ON = {"SIGURG", "SIGKILL", "SIGSTOP"}  # Go's runtime sends SIGURG to its threads


def signals():
    """Make signals what they are under python3. Go's own faults stay Go's: internal/cpython/faults.c."""
    for name in dir(_signal):
        number = getattr(_signal, name)
        if not name.startswith("SIG") or name.startswith("SIG_") or name.startswith("SIGRT") or name in _GOES_ON:
            continue
        if _signal.getsignal(number) is None:  # Go's: neither the default nor ignored
            _signal.signal(number, _signal.SIG_DFL)
    for name in ("SIGPIPE", "SIGXFSZ"):
        if hasattr(_signal, name):
            _signal.signal(getattr(_signal, name), _signal.SIG_IGN)
    if _signal.getsignal(_signal.SIGINT) is _signal.SIG_DFL:
        _signal.signal(_signal.SIGINT, _signal.default_int_handler)


def finish(value):
    """Report how the program ended, as python3 does, and give the exit code."""
    code = _report(value)
    interrupted = _join()
    if interrupted:
        _leave(code)  # a second wait would not end
    return code


def _report(value):
    if value is None:
        return 0
    if isinstance(value, SystemExit):
        return _exit_code(value)
    sys.last_type, sys.last_value, sys.last_traceback = type(value), value, value.__traceback__
    sys.last_exc = value
    hook = getattr(sys, "excepthook", None)
    try:
        if hook is None:
            print("sys.excepthook is missing", file=sys.stderr)
            hook = sys.__excepthook__
        hook(type(value), value, value.__traceback__)
    except SystemExit as e:
        return _exit_code(e)
    except BaseException as e:
        print("Error in sys.excepthook:", file=sys.stderr)
        _show(e)
        print("\nOriginal exception was:", file=sys.stderr)
        sys.__excepthook__(type(value), value, value.__traceback__)
    return -_signal.SIGINT if type(value) is KeyboardInterrupt else 1


def _show(e):
    """Print e without this file's frame."""
    e.__traceback__ = e.__traceback__.tb_next
    sys.__excepthook__(type(e), e, e.__traceback__)


def _join():
    """Wait for the program's threads, which Ctrl-C interrupts."""
    import threading

    try:
        threading._shutdown()
    except BaseException as e:
        print("Exception ignored on threading shutdown:", file=sys.stderr)
        _show(e)
        return True
    return False


def _exit_code(value):
    code = value.code
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF if -(2**31) <= code < 2**31 else 0xFF
    if sys.stderr is not None:
        try:
            print(code, file=sys.stderr, flush=True)
        except Exception:
            pass
    return 1


def _leave(code):
    import atexit

    try:
        atexit._run_exitfuncs()
    except BaseException:
        pass
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:
            code = code or 120
    if code == -_signal.SIGINT:
        _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
        _signal.raise_signal(_signal.SIGINT)
    os._exit(code)
