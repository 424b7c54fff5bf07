"""Go streams as Python's file objects, and Python's own streams and reports to Go."""
import io
import weakref

_readers, _writers = weakref.WeakSet(), weakref.WeakSet()  # to close when Python ends
_installed = []  # functions that take away what was put in the place of Python's own


def end():
    """Python is about to end, and calls Go no more: what it still writes goes to its own streams."""
    while _installed:
        _installed.pop()()
    for close in [r.end for r in list(_readers)] + [w.close for w in list(_writers)]:
        try:
            close()
        except Exception:
            pass  # as with any file that is still open when Python ends


def _put(module, name, ours):
    """Give the module's attribute another value until the end, unless it has been changed again by then. Gives the function that ends that."""
    theirs = getattr(module, name)
    setattr(module, name, ours)

    def back():
        if getattr(module, name, None) is ours:
            setattr(module, name, theirs)

    _installed.append(back)
    return back


class Reader(io.RawIOBase):
    def __init__(self, read, close):
        self._read, self._close = read, close
        _readers.add(self)

    def end(self):
        """Close what is read from, without the buffer's lock: a thread that reads may have that."""
        close, self._read, self._close = self._close, lambda n: b"", None
        close()

    def readable(self):
        return True

    def readinto(self, buffer):
        try:
            data = self._read(len(buffer))
        except Exception:
            if self._close is not None:
                raise
            data = b""  # it was closed because Python ends
        buffer[: len(data)] = data
        return len(data)

    def close(self):
        if not self.closed:
            super().close()
            if self._close is not None:
                self._close()


class Writer(io.RawIOBase):
    def __init__(self, write, close):
        self._write, self._close = write, close

    def writable(self):
        return True

    def write(self, data):
        return self._write(bytes(data))

    def close(self):
        if not self.closed:
            super().close()
            self._close()


class Iterator:
    """Not iter(next, sentinel): read by several threads, that drops an item when another thread finds the end."""

    __slots__ = ("_next",)

    def __init__(self, next):
        self._next = next

    def __iter__(self):
        return self

    def __next__(self):
        return self._next()


def reader(read, close):
    return io.BufferedReader(Reader(read, close))


def writer(write, close):
    w = io.BufferedWriter(Writer(write, close))
    _writers.add(w)
    return w


def standard(name, write):
    import os
    import sys

    raw = Writer(write, lambda: None)
    stream = io.TextIOWrapper(raw, encoding="utf-8", errors="backslashreplace", newline="", write_through=True)
    _put(sys, name, stream)
    own = getattr(sys, f"__{name}__")

    def to_own(data):  # for who has kept the stream, such as a logging.StreamHandler
        if own is not None and not own.closed:
            own.buffer.write(data)
            own.flush()
        return len(data)

    _installed.append(lambda: setattr(raw, "_write", to_own))
    os.register_at_fork(after_in_child=lambda: setattr(raw, "_write", to_own))  # the child cannot call Go


def reports(log):
    """Sends what Python reports, and its logging, to log(level, text, fields)."""
    import logging
    import os
    import sys
    import threading
    import traceback
    import warnings

    # what a record has beside what a caller gave it with extra=
    usual = set(vars(logging.LogRecord("", 0, "", 0, "", (), None))) | {"message", "asctime"}

    class Handler(logging.Handler):
        def emit(self, record):
            try:
                fields = {k: v if isinstance(v, (str, int, float, bool)) else repr(v) for k, v in vars(record).items() if k not in usual}
                fields["logger"] = record.name
                if record.exc_info:
                    fields["exception"] = "".join(traceback.format_exception(*record.exc_info))
                log(record.levelno, record.getMessage(), fields)
            except Exception:
                self.handleError(record)

    root, handler = logging.getLogger(), Handler()
    was = root.level
    root.addHandler(handler)
    _installed.append(lambda: root.removeHandler(handler))
    if was == logging.WARNING:
        root.setLevel(logging.NOTSET)

    def unraisable(u):
        text = u.err_msg or "Exception ignored in"
        log(logging.ERROR, f"{text}: {u.object!r}" if u.object is not None else text, {"exception": "".join(traceback.format_exception(u.exc_type, u.exc_value, u.exc_traceback))})

    def in_thread(args):
        if args.exc_type is not SystemExit:
            name = args.thread.name if args.thread else "?"
            log(logging.ERROR, f"Exception in thread {name}", {"exception": "".join(traceback.format_exception(args.exc_type, args.exc_value, args.exc_traceback))})

    def warned(message, category, filename, lineno, file=None, line=None):
        if file is not None:
            file.write(warnings.formatwarning(message, category, filename, lineno, line))
        else:
            log(logging.WARNING, str(message), {"category": category.__name__, "file": filename, "line": lineno})

    backs = [_put(sys, "unraisablehook", unraisable), _put(threading, "excepthook", in_thread), _put(warnings, "showwarning", warned)]

    def forked():  # the child cannot call Go: what others have not replaced since is as it was
        root.removeHandler(handler)
        if root.level == logging.NOTSET:
            root.setLevel(was)
        for back in backs:
            back()

    os.register_at_fork(after_in_child=forked)
