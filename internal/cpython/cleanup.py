# Which instructions of a code object are clean-up, where no interruption may come (hook.c): the bodies of finally
# clauses, the calls by which a with statement enters and leaves, the calls of what is named acquire, and whole functions by their names.
# The shim runs this once in each interpreter, when Python starts: Python code may change the builtins later. So what a function
# needs of them is its default arguments.
import opcode
import sys
from itertools import compress
from opcode import opmap, stack_effect

HELD, ALL, GENERATOR, IMPORTS = 1, 2, 4, 16  # as hook.h has them
NAMES = frozenset(("__enter__", "__exit__", "__aenter__", "__aexit__", "__del__"))
# The standard library's modules whose own code keeps locks and invariants between two instructions. What they call is interrupted.
HOLDERS = frozenset(("_threading_local", "asyncio", "concurrent", "contextlib", "importlib", "logging", "multiprocessing", "queue", "selectors",
                     "subprocess", "threading", "zipimport"))
# Those whose functions call clean-up, but for what a decorator makes.
CLEANERS = frozenset(("_weakrefset", "contextlib", "weakref"))
DECORATED = "inner"
# Functions of HOLDERS that wait for long in a loop, and stand an exception there.
WAITERS = frozenset(("communicate", "_communicate", "wait", "_wait"))  # of subprocess
FROZEN, IMPORTER, OWN = "<frozen ", "<frozen importlib._bootstrap>", "<gilt cleanup>"
LIBRARY = sys.modules["threading"].__file__[:-len("threading.py")]
NO_OP = -1
TABLE = "PUSH_EXC_INFO" in opmap  # from 3.11 on


def number_of(name, opmap=opmap):
    return opmap.get(name, NO_OP)


def named(*names, frozenset=frozenset):
    return frozenset(v for n, v in opmap.items() if n.startswith(names))


EXTENDED, LOAD_CONST, PUSH, POP_TOP, SETUP_FINALLY = map(number_of, ("EXTENDED_ARG", "LOAD_CONST", "PUSH_EXC_INFO", "POP_TOP", "SETUP_FINALLY"))
SPECIAL, DUP, PRECALL, PUSH_NULL, SEND, YIELD_FROM = map(number_of, ("LOAD_SPECIAL", "DUP_TOP", "PRECALL", "PUSH_NULL", "SEND", "YIELD_FROM"))
CALL_EX = number_of("CALL_FUNCTION_EX")
WITH_ARG = frozenset(getattr(opcode, "hasarg", range(opcode.HAVE_ARGUMENT, 256)))
RELATIVE, ABSOLUTE, BACKWARD = frozenset(opcode.hasjrel), frozenset(opcode.hasjabs), named("JUMP_BACKWARD", "POP_JUMP_BACKWARD")
NO_FALL = named("RERAISE", "RETURN_VALUE", "RETURN_CONST", "RAISE_VARARGS", "JUMP_FORWARD", "JUMP_ABSOLUTE", "JUMP_BACKWARD")
JUMPS_BACK = named("JUMP_BACKWARD", "JUMP_ABSOLUTE")  # inside an expression: a comprehension's loop
ENDS = NO_FALL - named("JUMP_FORWARD") - JUMPS_BACK
LEAVES = NO_FALL | named("POP_BLOCK", "SETUP_")
SETUPS = named("SETUP_FINALLY", "SETUP_WITH", "SETUP_ASYNC_WITH")
ENTERS = named("BEFORE_WITH", "BEFORE_ASYNC_WITH", "SETUP_WITH", "SETUP_ASYNC_WITH", "WITH_EXCEPT_START")
CALLS = frozenset(opmap[n] for n in ("CALL", "CALL_FUNCTION") if n in opmap)
# Calls whose argument is the number of the arguments on the stack, and those that have a tuple of names there too. On 3.11 PRECALL takes them.
COUNTED = frozenset((PRECALL,)) if TABLE and PRECALL != NO_OP else named("CALL_FUNCTION", "CALL_METHOD", "CALL") - named("CALL_INTRINSIC", "CALL_FUNCTION_EX")
WITH_NAMES = named("CALL_KW", "CALL_FUNCTION_KW")
AWAITS = named("GET_AWAITABLE", "GET_YIELD_FROM_ITER")
MATCHES = named("CHECK_EXC_MATCH", "CHECK_EG_MATCH", "JUMP_IF_NOT_EXC_MATCH")
# How a handler begins that belongs to a with statement, an async for, or an except clause without an expression.
OTHERS = named("POP_TOP", "WITH_EXCEPT_START", "END_ASYNC_FOR")
# What may stand between the load of a function and its call while nothing else is on the stack above the function.
NEUTRAL = named("POP_JUMP", "JUMP_IF", "JUMP_FORWARD", "NOT_TAKEN", "NOP", "KW_NAMES", "PUSH_NULL")
ATTRIBUTES = named("LOAD_ATTR", "LOAD_METHOD")
NAMED = named("LOAD_NAME", "LOAD_GLOBAL", "LOAD_ATTR", "LOAD_METHOD", "LOAD_SUPER_ATTR", "LOAD_FROM_DICT_OR_GLOBALS")
# From some version on, the lowest bits of the argument say something else.
SHIFT = {v: 2 if n == "LOAD_SUPER_ATTR" else 1 for n, v in opmap.items()
         if n == "LOAD_SUPER_ATTR" or n == "LOAD_GLOBAL" and TABLE or n == "LOAD_ATTR" and "LOAD_SUPER_ATTR" in opmap}
LOCAL = named("LOAD_FAST")
SECOND = frozenset(v for n, v in opmap.items() if n.startswith(("LOAD_FAST", "STORE_FAST")) and "_LOAD_FAST" in n)  # two locals in an argument
# They may be of two statements, the last of a try clause and the first of a finally clause.
SINGLE = bytes(op not in {v for n, v in opmap.items() if n.count("_FAST") == 2} for op in range(256))
CELLS = named("LOAD_DEREF", "LOAD_CLASSDEREF", "LOAD_FROM_DICT_OR_DEREF")
# Instructions that run no Python code but that of what they drop: a frame that was entered from there is a __del__ of any name,
# or a weak reference's callback. JUMP_BACKWARD is where the collector runs from 3.12 on.
DROPPING = named("POP_TOP", "POP_EXCEPT", "POP_ITER", "END_FOR", "END_SEND", "STORE_FAST", "STORE_DEREF", "STORE_GLOBAL", "DELETE_FAST",
                 "DELETE_DEREF", "DELETE_GLOBAL", "RETURN_VALUE", "RETURN_CONST", "JUMP_BACKWARD")
DROPS = bytes(op in DROPPING for op in range(256))


NOWHERE = frozenset((None, hash((None, None, None, None))))


def is_acquire(name):
    """Whether what has that name takes what later has to be given back: acquire, _acquire_all, lock, lock_both, but not locked."""
    name = name.lstrip("_").lower()
    return name.startswith("acquire") or name == "lock" or name.startswith("lock_")


def instructions(raw, zip=zip):
    """The offset, opcode and argument of each, without caches, and the offset to which jumps to it go."""
    at, arg, start, all = -2, 0, None, []
    for op, byte in zip(raw[::2], raw[1::2]):
        at += 2
        if not op:
            continue  # a cache
        if op == EXTENDED:
            arg = (arg | byte) << 8
            start = at if start is None else start
        else:
            all.append((at, op, arg | byte, at if start is None else start))
            arg, start = 0, None
    return all


def effect(op, arg, jump):
    return stack_effect(op, arg if op in WITH_ARG else None, jump=jump)


def target_of(all, i, len=len):
    """Where the instruction of that index jumps to, None for nowhere."""
    at, op, arg, start = all[i]
    if op in ABSOLUTE:
        return arg * 2
    if op not in RELATIVE:
        return None
    after = all[i + 1][3] if i + 1 < len(all) else at + 2
    return after - arg * 2 if op in BACKWARD else after + arg * 2


def walk(all, i, range=range, len=len):
    """The indexes from that one on, and how much deeper the stack is before each, and where jumps from before lead, by offset. It ends
    where only jumps from elsewhere lead."""
    depth, at = 0, {}
    for i in range(i, len(all)):
        op, arg, start = all[i][1:]
        depth = at.pop(start, depth)
        if depth is None:
            return
        yield i, depth, at
        target = target_of(all, i)
        if target is not None and target > start:
            at[target] = depth + effect(op, arg, True)
        depth = None if op in NO_FALL else depth + effect(op, arg, False)


def takes_last(all, i, depth, base, at):
    """Whether the instruction of that index takes all that is above base, and no jump from before leads to where there is more: as from
    the first half of an or to the end of the expression."""
    op, arg = all[i][1:3]
    return op not in NEUTRAL and depth + effect(op, arg, False) <= base and not [d for d in at.values() if d > base]


def positions(code, size, range=range, list=list, map=map, hash=hash):
    """Where in the source each instruction comes from, by half its offset: 3.10 knows lines only. They are compared only, and
    the hashes of long functions' many positions are found in less time than a list of them is made."""
    if TABLE:
        return list(map(hash, code.co_positions()))
    lines = [None] * size
    for start, end, line in code.co_lines():
        for i in range(start // 2, end // 2):
            lines[i] = line
    return lines


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


def is_finally(all, i):
    """Whether the handler whose first instruction is the one of that index, after PUSH_EXC_INFO, is a finally clause's: an
    except clause's first statement is its expression, which the exception is compared with."""
    if all[i][1] in OTHERS:
        return False
    for i, depth, at in walk(all, i):
        op = all[i][1]
        if op in MATCHES:
            return False
        if op in ENDS or op in SETUPS or op == PUSH or op in JUMPS_BACK and depth <= 0 or depth > 0 and takes_last(all, i, depth, 0, at):
            return True
    return True


def finals_by_table(code, all, size, len=len, enumerate=enumerate, list=list):
    """For each finally clause: the ranges of offsets of its handler, the body's copy for exceptions, and those of its try clause."""
    entries, handler = table(code), [None] * (size + 1)  # the handler of each instruction, by half its offset
    for start, end, target in entries:
        handler[start // 2:end // 2] = [target] * ((end - start) // 2)
    finals = {}  # by where the handler's own clean-up begins: both
    starts = {}  # by where the handler begins: where its own clean-up does
    for i, (at, op, arg, start) in enumerate(all):
        if op == PUSH:
            end = starts[at] = handler[at // 2]
            if end is not None and i + 1 < len(all) and is_finally(all, i + 1):
                finals[end] = [], []
    owners = {None: None}

    def owner(target):
        """The innermost finally clause's own clean-up in whose handler that is which has this handler."""
        path = []
        while target not in owners:
            owners[target] = None  # against a table that leads round
            path.append(target)
            if target in finals:
                owners[target] = target
                break
            end = starts.get(target, target)  # from a try clause: past its handler
            target = None if end is None else handler[end // 2]
        for t in path:
            owners[t] = owners[target]
        return owners[target]

    for start, end, target in entries:
        mine, tried = owner(target), starts.get(target)
        if mine is not None:
            finals[mine][0].append((start, end))
        if tried in finals:
            finals[tried][1].append((start, end))
    return list(finals.values())


def finals_by_flow(all, enumerate=enumerate, len=len):
    """The same before 3.11. The handler is what its beginning leads to until it has been left, or raises again."""
    finals, index = [], {start: i for i, (at, op, arg, start) in enumerate(all)}
    for i, (at, op, arg, start) in enumerate(all):
        first = index.get(target_of(all, i)) if op == SETUP_FINALLY else None
        if first is None or not is_finally(all, first):
            continue
        todo, inside = [(first, 0)], {}
        while todo:
            j, depth = todo.pop()
            if j is None or j >= len(all) or depth < 0 or j in inside:  # below: the exception is off the stack
                continue
            op, arg = all[j][1:3]
            inside[j] = all[j][0], all[j][0] + 2
            if target_of(all, j) is not None:
                todo.append((index.get(target_of(all, j)), depth + effect(op, arg, True)))
            if op not in NO_FALL:
                todo.append((j + 1, depth + effect(op, arg, False)))
        j = i + 1  # how far the try clause goes at least
        while all[j][1] not in LEAVES:
            j += 1
        finals.append((inside.values(), [(at, all[j][0])]))
    return finals


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


def loaded(code, op, arg, len=len):
    """The name of what an instruction leaves on the top of the stack, "" if it has none."""
    if op in NAMED:
        return code.co_names[arg >> SHIFT.get(op, 0)]
    if op in SECOND:
        return code._varname_from_oparg(arg & 15)
    if op in LOCAL or op in CELLS:
        return code._varname_from_oparg(arg) if TABLE else code.co_varnames[arg] if op in LOCAL else (code.co_cellvars + code.co_freevars)[arg]
    return ""


def call_of(all, i, len=len):
    """The index of the call of what the instruction of that index has loaded, None if it is not called."""
    base = 1 if i + 1 < len(all) and all[i + 1][1] == PUSH_NULL else 0
    for j, depth, at in walk(all, i + 1):
        op, arg = all[j][1:3]
        if op in COUNTED and depth - arg - (op in WITH_NAMES) == base:
            return j
        if op == CALL_EX and depth - (1 + (arg & 1) if op in WITH_ARG else 2) == base:
            return j
        if depth == base and op in ATTRIBUTES or takes_last(all, j, depth, base, at):
            return None  # something else has taken it
    return None


def acquires(code, all, enumerate=enumerate):
    """The indexes of the calls of what is named acquire."""
    for i, (at, op, arg, start) in enumerate(all):
        if is_acquire(loaded(code, op, arg)):
            j = call_of(all, i)
            if j is not None:
                yield j


def whole_call(all, i, len=len):
    """The first offset of a call, and the offset at which it has ended, with the await of what it gives."""
    first = all[i - 1][0] if i and all[i - 1][1] == PRECALL else all[i][0]
    if all[i][1] == PRECALL:
        i += 1
    i += 1
    if i < len(all) and all[i][1] in AWAITS:
        while i < len(all) and all[i][1] not in (SEND, YIELD_FROM):
            i += 1
        if i < len(all) and all[i][1] == SEND:
            return first, target_of(all, i)
        i += 1
    return first, all[i][0] if i < len(all) else all[-1][0] + 2


def flags_of(code, len=len):
    flags = GENERATOR if code.co_flags & 0x2a0 else 0
    file, name = code.co_filename, code.co_name
    if name in NAMES:
        flags |= ALL
    module = file[len(FROZEN):].rstrip(">") if file.startswith(FROZEN) else file[len(LIBRARY):] if file.startswith(LIBRARY) else ""
    module = module.split("/")[0].split(".")[0]
    if module in HOLDERS and not (module == "subprocess" and name in WAITERS):
        flags |= HELD
    if file == OWN:
        flags |= ALL
    if file == IMPORTER:
        flags |= IMPORTS
    if module in CLEANERS and name != DECORATED:
        flags |= ALL
    return flags


def finals(code, raw, all, any=any, len=len, range=range, set=set, map=map):
    """The offsets of the finally clauses' bodies, both copies; None if nothing tells where the other copy is."""
    found, clauses, size = set(), set(), len(raw) // 2
    handlers = finals_by_table(code, all, size) if TABLE else finals_by_flow(all)
    if not handlers:
        return found
    where, ops = positions(code, size), raw[::2]
    if not any(p not in NOWHERE for p in where):
        return None
    for inside, tried in handlers:
        clause, body = set(), set()
        for start, end in inside:
            found.update(range(start, end, 2))
            clause.update(where[start // 2:end // 2])
        for start, end in tried:
            body.update(compress(where[start // 2:end // 2], ops[start // 2:end // 2].translate(SINGLE)))
        if (clause & body) <= NOWHERE:  # else the positions are not those of a source text: the body has been generated
            clauses |= clause
    clauses -= NOWHERE
    found.update(compress(range(0, len(raw), 2), map(clauses.__contains__, where)))  # with caches: 3.11 and 3.12 stand there during calls
    return found


def inspect(code, frozenset=frozenset, range=range, set=set, any=any):
    """(what is true of all its instructions; the offsets that are clean-up, or None; for each offset whether a frame that was entered
    from there drops something)."""
    flags, raw = flags_of(code), code.co_code
    drops = raw.translate(DROPS)
    takes = any([is_acquire(n) for names in (code.co_names, code.co_varnames, code.co_cellvars, code.co_freevars) for n in names])
    if TABLE and not code.co_exceptiontable and not takes:
        return flags, None, drops  # most functions
    all, consts = instructions(raw), code.co_consts
    found = finals(code, raw, all)
    if found is None:
        return flags | ALL, None, drops
    for i in withs(all, lambda ins: ins[1] == LOAD_CONST and consts[ins[2]] is None):
        found.update(range(*whole_call(all, i), 2))
    if takes:
        for i in acquires(code, all):
            found.update(range(*whole_call(all, i), 2))
    return flags, frozenset(found) if found else None, drops
