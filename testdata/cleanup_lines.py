# What cleanup.py says of each line of SOURCE. "# C": every call and every await of that line is clean-up; "# W": some are, as a with
# statement's own; other lines: none is.
import ast
import dis
import sys
import time

SOURCE = '''
def with_statement(l):
    with open_it(l) as x, l:  # W
        work(x)
    after()

async def async_with(l):
    async with open_it(l) as x:  # W
        await work(x)
    await after()

def try_finally(l):
    try:
        while work(): pass
    except (E, F[1], g.h): handle()
    except Z as z: handle(z)
    except: handle()
    else: work()
    finally:
        for x in clean(l): clean(x)  # C
        try: clean(l)  # C
        except E as e: clean(e)  # C
        finally: clean(l)  # C
        clean(a if b else c, a or b)  # C
    after()

def leaves():
    for i in items():
        try:
            if work(): continue
            if work(): break
            return work()
        finally:
            while clean(): clean()  # C

def break_in_finally():
    for i in items():
        try: work()
        finally:
            if clean(i):  # C
                clean(i)  # C
                break
    while True: after()

def generator():
    try: yield work()
    finally:
        clean()  # C
        yield 1
    after()

async def awaits_in_finally():
    try: await work()
    finally: await clean()  # C
    await after()

def in_except():
    try:
        try: work()
        finally: clean()  # C
    except E:
        handle()
        try: handle()
        finally: clean()  # C
    after()

def except_expression(A, B, C):
    try: work()
    except (A if C else B):
        while True: handle()
    try: work()
    except (A or B):
        while True: handle()
    try: work()
    except (A and B):
        while True: handle()
    try: work()
    except (D := [B, *C][0]):
        while True: handle()
    try: work()
    except tuple(x for x in A):
        while True: handle()
    try: work()
    except A as e: handle(e)

def only_pass():
    l.acquire()  # C
    try: pass
    finally: clean()  # C

def acquires(l, s, acquire, lock, locked):
    l.acquire()  # C
    try: work()
    finally: l.release()  # C
    if not l.acquire(): return  # C
    assert l.acquire(True, timeout=1)  # C
    while not l._acquire_all(*s): work()  # W
    if (got := s.l.acquire(blocking=True, **s)) and got: return  # C
    acquire(l)  # C
    _acquire()  # C
    lock()  # C
    s.l.lock_both(1, 2)  # C
    l.acquire(a if b else c)  # C
    l.acquire(a or b, [x for x in s], not c)  # W
    l.acquire(  # C
        work(l),
        lambda: work(l))
    super().acquire()  # W
    locked()
    l.locked(l.acquire)
    lock.run(1)
    lock[0](2)
    work(l.acquire)
    work(acquire, 1)
    f = l.acquire
    f()
    work(1)(acquire)

async def awaits(l, acquire):
    await l.acquire()  # C
    if await acquire(1): await work()  # W
    got = await l._acquire(*l)  # C
    await work(l)

def delegates(l):
    yield from l.acquire()  # C
    yield from work()

class Class:
    def acquire(self):
        while True: work()

def within_closure(acquire):
    def inner():
        acquire()  # C
        work()
'''


def codes(code):
    yield code
    for const in code.co_consts:
        if hasattr(const, "co_code"):
            yield from codes(const)


def wrong_lines(inspect):
    if sys.version_info >= (3, 11):
        source = SOURCE + "\ndef group():\n    try: work()\n    except* (A if B else C): handle()\n    finally: clean()  # C\n"
    else:
        source = SOURCE
    lines = [""] + source.split("\n")
    said = {}
    for code in codes(compile(source, "labelled", "exec")):
        offsets, line = inspect(code)[1] or (), None
        for i in dis.get_instructions(code):
            line = i.line_number if sys.version_info >= (3, 13) else i.starts_line or line
            is_call = i.opname.startswith("CALL") and not i.opname.startswith("CALL_INTRINSIC")
            if line and (is_call or i.opname in ("SEND", "YIELD_FROM", "BEFORE_WITH", "BEFORE_ASYNC_WITH")):
                said.setdefault(line, set()).add(i.offset in offsets)
    for line, text in enumerate(lines):
        got, label = said.get(line, set()), text.partition("# ")[2]
        if got and (got != {True} if label == "C" else True not in got if label == "W" else got != {False}) or label and not got:
            yield f"line {line} of {sys.version}: {text.strip()}: {got}"


def wrong_places(inspect):
    """Code whose positions are of no use."""
    text = "def work(s):\n    try:\n        while True: work(s)\n    finally: clean(s)\n"
    code = next(c for c in codes(compile(text, "bare", "exec")) if c.co_name == "work")
    if not inspect(code.replace(co_linetable=b""))[0] & 2:
        yield "without positions a finally clause is not clean-up"
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if hasattr(node, "lineno"):
            node.lineno = node.end_lineno = 1
            node.col_offset = node.end_col_offset = 0
    code = next(c for c in codes(compile(tree, "generated", "exec")) if c.co_name == "work")
    offsets = inspect(code)[1]
    calls = [i.offset in offsets for i in dis.get_instructions(code) if i.opname in ("CALL", "CALL_FUNCTION")]
    if calls[0] or not calls[-1]:
        yield f"with one position everywhere the calls are clean-up: {calls}"


def wrong_drops(inspect):
    def work(s):
        a = s(1)
        del a
        a = None
        return s.x + s[1]

    flags, offsets, drops = inspect(work.__code__)
    for i in dis.get_instructions(work):
        want = i.opname.startswith(("DELETE_FAST", "STORE_FAST", "RETURN_VALUE", "POP_TOP"))
        if want != bool(drops[i.offset]) or i.opname.startswith(("CALL", "BINARY", "LOAD_ATTR")) and drops[i.offset]:
            yield f"{i.opname} drops: {drops[i.offset]}"


def wrong_times(inspect):
    def seconds(n):
        text = "def work(l):\n" + f"    with l: work(1)\n    try: work(2)\n    finally: clean(3)\n" * n
        code = next(c for c in codes(compile(text, "long", "exec")) if c.co_name == "work")
        times = []
        for _ in range(5):
            began = time.thread_time()
            inspect(code)
            times.append(time.thread_time() - began)
        return min(times)

    few, many = seconds(100), seconds(1000)
    if many > 30 * few:
        yield f"100 clauses take {few * 1e3:.1f} ms, 1000 take {many * 1e3:.1f} ms"


def wrong(source):
    names = {"__name__": "cleanup"}
    exec(compile(source, "cleanup.py", "exec"), names)
    inspect = names["inspect"]
    return [said for look in (wrong_lines, wrong_places, wrong_drops, wrong_times) for said in look(inspect)]
