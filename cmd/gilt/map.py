"""What `gilt map` runs in each interpreter: JSON lines in, JSON lines out, a batch a call.

MODULE, NAME, FILE ("" for a module), DIR (for sys.path) and STOP are appended by Go."""

import importlib
import json
import os
import sys
import traceback

_function = None


def _not_json(name):
    raise ValueError(f"{name} is not JSON")


_decoder = json.JSONDecoder(parse_constant=_not_json)
_scan, _decode = _decoder.scan_once, _decoder.decode


def _encoder():
    """JSONEncoder.encode makes its C encoder anew for each record, which costs more than encoding a small
    one: make it once, if this Python has it as the others do."""
    encoder = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    try:
        from json.encoder import c_make_encoder, encode_basestring

        once = c_make_encoder(None, encoder.default, encode_basestring, None, ":", ",", False, False, False)
        join = "".join
        sample = {"a": [1, 0.1, True, None, "é\n"], "b": {}}
        if join(once(sample, 0)) == encoder.encode(sample):
            return lambda value: join(once(value, 0))
    except Exception:
        pass
    return encoder.encode


_encode = _encoder()


class _Refused(Exception):
    """The function cannot be used; text says why."""


def load():
    """Find the function; b"" or why it cannot be used, as JSON."""
    global _function
    sys.stdout = sys.stderr  # stdout carries the records
    sys.stdin = open(os.devnull)
    sys.path.insert(0, DIR)  # not earlier: a json.py there is not for this file
    try:
        _function = _find()
        return b""
    except _Refused as e:
        cause = e.__cause__
        return _dump({"error": str(e), "traceback": _text(cause, cause.__traceback__.tb_next.tb_next) if cause else ""})


def _find():
    try:
        module = _import()
    except ModuleNotFoundError as e:
        if e.name and (MODULE == e.name or MODULE.startswith(e.name + ".")):
            raise _Refused(f"there is no module {e.name} in the working directory or on sys.path; install it, or give FILE.py:NAME") from None
        raise _Refused(f"module {MODULE} cannot be imported: {_line(e)}; install it for {sys.executable or sys.prefix}") from e
    except BaseException as e:
        raise _Refused(f"module {MODULE} raised when it was imported: {_line(e)}") from e
    where = getattr(module, "__file__", None)
    if FILE and not (where and os.path.samefile(where, FILE)):
        raise _Refused(f"{FILE} cannot be imported as {MODULE}: the module of that name is {where or 'built in'}; rename the file")
    value, path = module, []
    for part in NAME.split("."):
        path.append(part)
        try:
            value = getattr(value, part)
        except AttributeError:
            has = [n for n, v in vars(module).items() if callable(v) and not n.startswith("_")][:8]
            raise _Refused(f"{FILE or MODULE} has no {'.'.join(path)}" + (f"; it has {', '.join(has)}" if has else "; it has no public functions")) from None
    if not callable(value):
        raise _Refused(f"{NAME} of {FILE or MODULE} is not a function but {type(value).__name__}; name a function of one argument")
    if getattr(getattr(value, "__code__", None), "co_flags", 0) & 0x280:  # coroutine, async generator
        raise _Refused(f"{NAME} of {FILE or MODULE} is an async function; wrap it in one that calls asyncio.run")
    return value


def _import():
    __import__(MODULE)  # which drops the frames of importlib from tracebacks
    return sys.modules[MODULE]


def _line(e):
    """The last line of the traceback. It never fails, whatever e's class is."""
    try:
        return "".join(traceback.format_exception_only(type(e), e)).strip().splitlines()[-1]
    except BaseException:  # its __str__ raises, its class has no __module__, or memory is short
        name = _name_of(type(e))
    try:
        return f"{name}: {e}".strip().splitlines()[-1]
    except BaseException:
        return name


# A metaclass cannot answer in the place of these.
_name_of, _flags_of, _module_of = (type.__dict__[n].__get__ for n in ("__name__", "__flags__", "__module__"))


def _text(e, tb):
    return "".join(traceback.format_exception(type(e), e, tb))


def _dump(value):
    return json.dumps(value).encode()


def run(batch):
    """Map the lines of batch. The answer begins with "+" when all went well, "!" when the function
    cannot be used, else "*", and then each line with "+" or "-"."""
    if _function is None and (refused := load()):
        return b"!" + refused
    call, out, bad = _function, [], {}
    for line in batch.split(b"\n"):
        try:
            text = line.decode()
            try:
                value, end = _scan(text, 0)
                if end != len(text):
                    value = _decode(text)
            except StopIteration:
                value = _decode(text)
        except Exception as e:
            bad[len(out)] = {"error": _input_error(e), "traceback": ""}
            out.append("")
            if STOP:
                break
            continue
        try:
            result = call(value)
        except BaseException as e:
            failure = _failure(e)
        else:
            try:
                out.append(_encode(result))
                continue
            except BaseException as e:
                failure = _result_error(e)
        bad[len(out)] = failure
        out.append("")
        if STOP:
            break
    if not bad:
        out.append("")
        # Only a lone surrogate cannot be encoded, and \udc80 is how JSON escapes it.
        return b"+" + "\n".join(out).encode("utf-8", "backslashreplace")
    lines = [b"-" + _dump(bad[i]) if i in bad else b"+" + s.encode("utf-8", "backslashreplace") for i, s in enumerate(out)]
    return b"*" + b"\n".join(lines)


def _input_error(e):
    if isinstance(e, UnicodeDecodeError):
        return f"the line is not UTF-8: byte 0x{e.object[e.start]:02x} at column {e.start + 1}"
    if isinstance(e, json.JSONDecodeError):
        return f"the line is not JSON: {e.msg} at column {e.pos + 1}"
    return f"the line is not JSON that can be read: {_line(e)}"


def _failure(e):
    _pass_on(e)
    try:
        text = _text(e, e.__traceback__.tb_next)
    except BaseException:
        text = ""
    return {"error": _line(e), "traceback": text}


def _result_error(e):
    _pass_on(e)
    if type(e) is RecursionError:  # whose text tells of the encoder's repr or stack
        why = "it holds itself, or is nested too deeply"
    else:
        try:
            why = str(e).partition("\n")[0]
        except BaseException:
            why = ""
    return {"error": f"what the function returned is not JSON: {why or _name_of(type(e))}", "traceback": ""}  # a traceback would show this file


def _pass_on(e):
    """gilt.Cancelled, the only immutable class of that module, ends the batch."""
    if _flags_of(type(e)) & 1 << 8 and _module_of(type(e)) == "gilt":
        raise e
