# Which instructions of a code object are clean-up, where no interruption may come (hook.c): the bodies of finally
# clauses, the calls by which a with statement enters and leaves, calls of an acquire before a try clause with a finally
# clause, and whole functions by their names.
# The shim runs this once in each interpreter, when Python starts: Python code may change the builtins later. So what a function
# needs of them is its default arguments.
import sys
from opcode import opmap

HELD, ALL, GENERATOR, TAKES, IMPORTS = 1, 2, 4, 8, 16  # as hook.c has them
NAMES = frozenset(("__enter__", "__exit__", "__aenter__", "__aexit__", "__del__"))
STEMS = ("acquire", "lock")  # names of functions, without leading underscores, that take what a finally clause after them gives back
# The standard library's modules whose own code keeps locks and invariants between two instructions. What they call is interrupted.
HOLDERS = frozenset(("_threading_local", "asyncio", "concurrent", "contextlib", "importlib", "logging", "multiprocessing", "queue", "selectors",
                     "subprocess", "threading", "zipimport"))
# Those whose functions call clean-up, but for what a decorator makes.
CLEANERS = frozenset(("_weakrefset", "contextlib", "weakref"))
DECORATED = "inner"
# Functions of HOLDERS that wait for long in a loop, and stand an exception there.
WAITERS = frozenset(("communicate", "_communicate", "wait", "_wait"))  # of subprocess
FROZEN, IMPORTER = "<frozen ", "<frozen importlib._bootstrap>"
LIBRARY = sys.modules["threading"].__file__[:-len("threading.py")]
NO_OP = -1
TABLE = "PUSH_EXC_INFO" in opmap  # from 3.11 on
EXTENDED, WITH_EXCEPT, LOAD_CONST, PUSH, POP_TOP = (opmap.get(n, NO_OP) for n in ("EXTENDED_ARG", "WITH_EXCEPT_START", "LOAD_CONST", "PUSH_EXC_INFO", "POP_TOP"))
SPECIAL, DUP, PRECALL, END_ASYNC_FOR, SETUP_FINALLY = (opmap.get(n, NO_OP) for n in ("LOAD_SPECIAL", "DUP_TOP", "PRECALL", "END_ASYNC_FOR", "SETUP_FINALLY"))


def named(*names, frozenset=frozenset):
    return frozenset(v for n, v in opmap.items() if n.startswith(names))


ENTERS = named("BEFORE_WITH", "BEFORE_ASYNC_WITH", "SETUP_WITH", "SETUP_ASYNC_WITH", "WITH_EXCEPT_START")
ANY_CALL = named("CALL") - named("CALL_INTRINSIC")
CALLS = frozenset(opmap[n] for n in ("CALL", "CALL_FUNCTION") if n in opmap)
BETWEEN = named("POP_TOP", "STORE_", "NOP", "TO_BOOL", "POP_JUMP", "NOT_TAKEN")
MATCHES = named("CHECK_EXC_MATCH", "CHECK_EG_MATCH", "JUMP_IF_NOT_EXC_MATCH")
# What the expression of an except clause has no use for: a handler that has one of them before it matches is a finally's.
STATEMENTS = named("POP_", "STORE_", "DELETE_", "RETURN_", "FOR_", "SETUP_", "JUMP_", "IMPORT_", "WITH_", "BEFORE_", "PUSH_EXC_INFO", "RERAISE", "RAISE_",
                   "YIELD_", "GET_ITER", "NOP") - MATCHES
RELATIVE = named("JUMP_FORWARD", "FOR_ITER", "SETUP_")
ABSOLUTE = named("POP_JUMP_IF", "JUMP_IF", "JUMP_ABSOLUTE")
NO_FALL = named("RERAISE", "RETURN_VALUE", "RAISE_VARARGS", "JUMP_FORWARD", "JUMP_ABSOLUTE")


def instructions(code, len=len, range=range):
    """The offset, opcode and argument of each, without caches."""
    raw, arg, all = code.co_code, 0, []
    for i in range(0, len(raw), 2):
        op = raw[i]
        if op == 0 and TABLE:
            continue  # a cache
        arg = arg << 8 | raw[i + 1]
        if op != EXTENDED:
            all.append((i, op, arg))
            arg = 0
    return all


def positions(code, range=range):
    """Where in the source each instruction comes from: 3.10 knows lines only."""
    at = {}
    if not TABLE:
        for start, end, line in code.co_lines():
            for i in range(start, end, 2):
                at[i] = line
        return at
    i = 0
    for p in code.co_positions():
        at[i] = p
        i += 2
    return at


def table(code, iter=iter, next=next):
    """The exception table (3.11 on): first and last offset and the handler of each entry, the innermost only."""
    entries, bytes = [], iter(code.co_exceptiontable)

    def number(b):
        n = b & 63
        while b & 64:
            b = next(bytes)
            n = n << 6 | b & 63
        return n

    for b in bytes:
        start = number(b) * 2
        end = start + number(next(bytes)) * 2
        target = number(next(bytes)) * 2
        number(next(bytes))  # depth and lasti
        entries.append((start, end, target))
    return entries


def is_finally(all, i, len=len):
    """Whether the handler whose first instruction is the one of that index, after PUSH_EXC_INFO, is a finally clause's."""
    if all[i][1] in (POP_TOP, WITH_EXCEPT, END_ASYNC_FOR):
        return False
    while i < len(all):
        op = all[i][1]
        if op in MATCHES:
            return False
        if op in STATEMENTS:
            return True
        i += 1
    return True


def finals_by_table(code, all, len=len, enumerate=enumerate, set=set):
    """The offsets in the handlers of finally clauses, the body's copy for exceptions; and, as a function of an offset, the
    handlers of the finally clauses in whose try clauses it is."""
    entries = table(code)
    index = {at: i for i, (at, op, arg) in enumerate(all)}
    handlers = {}

    def handler(at):
        if at not in handlers:
            handlers[at] = None
            for start, end, target in entries:
                if start <= at < end:
                    handlers[at] = target
        return handlers[at]

    finals = {}  # of each handler, by where its own clean-up begins: whether it is a finally clause's
    for at, op, arg in all:
        if op == PUSH and index[at] + 1 < len(all) and handler(at) is not None:
            finals[handler(at)] = is_finally(all, index[at] + 1)

    def around(at):  # whether it is in a finally clause's handler, and the finally clauses of its try clauses
        tries, seen = set(), set()
        target = handler(at)
        while target is not None and target not in seen:
            seen.add(target)
            if finals.get(target):
                return True, tries
            if target not in finals and target in index and all[index[target]][1] == PUSH:  # in a try clause: past its handler
                end = handler(target)
                if finals.get(end):
                    tries.add(target)
                target = end
                if target is None:
                    break
                seen.add(target)
            target = handler(target)
        return False, tries

    return [at for at, op, arg in all if around(at)[0]], lambda at: around(at)[1]


def finals_by_flow(all, enumerate=enumerate, len=len, set=set, range=range):
    """The same before 3.11: what a finally clause's handler leads to until it raises again."""
    index = {at: i for i, (at, op, arg) in enumerate(all)}
    found, begins = set(), {}
    for at, op, arg in all:
        start = at + 2 + arg * 2
        if op != SETUP_FINALLY or start not in index or not is_finally(all, index[start]):
            continue
        begins[at] = {start}
        todo, seen = [start], set()
        while todo:
            here = todo.pop()
            if here < start or here in seen or here not in index:
                continue
            seen.add(here)
            i = index[here]
            here, op, arg = all[i]
            if op in RELATIVE:
                todo.append(here + 2 + arg * 2)
            elif op in ABSOLUTE:
                todo.append(arg * 2)
            if op not in NO_FALL and i + 1 < len(all):
                todo.append(all[i + 1][0])
        found |= seen
    return found, lambda at: begins.get(at, set())


def withs(all, none, len=len, range=range):
    """The indexes of the instructions by which with statements enter and leave."""
    for i in range(len(all)):
        op = all[i][1]
        if op in ENTERS:
            yield i
        elif op in CALLS and i >= 3:
            before = all[i - 1][1]
            if before == SPECIAL:
                yield i
                continue
            j = i - 1 if before != PRECALL else i - 2
            if all[j][1] == DUP and all[j - 1][1] == DUP and none(all[j - 2]):
                yield i
            elif none(all[j]) and none(all[j - 1]) and none(all[j - 2]):
                yield i


def before_tries(all, tries, len=len, range=range):
    """The indexes of calls after which a try clause with a finally clause begins."""
    for i in range(len(all) - 1):
        if all[i][1] not in ANY_CALL:
            continue
        j = i + 1
        while j + 1 < len(all) and all[j][1] in BETWEEN:
            j += 1
        if tries(all[j][0]) - tries(all[i][0]):
            yield i


def inspect(code, len=len, frozenset=frozenset, range=range, set=set):
    """(what is true of all its instructions, the offsets that are clean-up, those that are when what is called TAKES)."""
    flags = GENERATOR if code.co_flags & 0x2a0 else 0
    file, name = code.co_filename, code.co_name
    if name in NAMES:
        flags |= ALL
    if name.lstrip("_").lower().startswith(STEMS):
        flags |= TAKES
    module = file[len(FROZEN):].rstrip(">") if file.startswith(FROZEN) else file[len(LIBRARY):] if file.startswith(LIBRARY) else ""
    module = module.split("/")[0].split(".")[0]
    if module in HOLDERS and not (module == "subprocess" and name in WAITERS):
        flags |= HELD
    if file == IMPORTER:
        flags |= IMPORTS
    if module in CLEANERS and name != DECORATED:
        flags |= ALL
    if TABLE and not code.co_exceptiontable:
        return flags, None, None  # most functions
    all = instructions(code)
    ends = [at for at, op, arg in all[1:]] + [len(code.co_code)]
    finals, tries = finals_by_table(code, all) if TABLE else finals_by_flow(all)
    found, takes = set(), set()
    if finals:
        where = positions(code)
        clauses = {where[at] for at in finals if at in where} - {None, (None, None, None, None)}
        found.update(at for at, p in where.items() if p in clauses)  # both copies, with their caches
    consts = code.co_consts
    for i in withs(all, lambda ins: ins[1] == LOAD_CONST and consts[ins[2]] is None):
        found.update(range(all[i][0], ends[i], 2))
    for i in before_tries(all, tries):
        takes.update(range(all[i][0], ends[i], 2))
    return flags, frozenset(found) if found else None, frozenset(takes) if takes else None
