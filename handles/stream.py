"""Go streams as Python's file objects, and Python's own streams and reports to Go."""
import io


class Reader(io.RawIOBase):
    def __init__(self, read, close):
        self._read, self._close = read, close

    def readable(self):
        return True

    def readinto(self, buffer):
        data = self._read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self):
        if not self.closed:
            super().close()
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
    return io.BufferedWriter(Writer(write, close))


def standard(name, write):
    import os
    import sys

    raw = Writer(write, lambda: None)

    def own(data):
        stream = getattr(sys, f"__{name}__")
        if stream is not None:
            stream.buffer.write(data)
            stream.buffer.flush()
        return len(data)

    def forked():  # the child cannot call Go: whoever has the file writes to Python's own
        raw._write = own

    os.register_at_fork(after_in_child=forked)
    setattr(sys, name, io.TextIOWrapper(raw, encoding="utf-8", errors="backslashreplace", newline="", write_through=True))


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

    root = logging.getLogger()
    handler = Handler()
    root.addHandler(handler)
    was = root.level
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

    hooks = ((sys, "unraisablehook", unraisable), (threading, "excepthook", in_thread), (warnings, "showwarning", warned))
    before = [getattr(module, name) for module, name, _ in hooks]
    for module, name, ours in hooks:
        setattr(module, name, ours)

    def forked():  # the child cannot call Go: what others have not replaced since is as it was
        root.removeHandler(handler)
        if root.level == logging.NOTSET:
            root.setLevel(was)
        for (module, name, ours), old in zip(hooks, before):
            if getattr(module, name) is ours:
                setattr(module, name, old)

    os.register_at_fork(after_in_child=forked)
