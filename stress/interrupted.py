# What tasks do while they are interrupted: each form loops for ever, and leaves the state as it was when an exception
# ends it at a place where Python code can expect one.
import ast
import asyncio
import concurrent.futures
import contextlib
import functools
import logging
import logging.handlers
import queue
import threading
import types
import weakref


class Counted:
    """A context manager written in Python. __enter__ and __exit__ call and loop."""

    def __init__(self, state):
        self.state = state
        self.inner = threading.Lock()

    def note(self, n):
        for _ in range(3):
            pass
        self.state.open += n

    def __enter__(self):
        self.inner.acquire()
        self.note(1)
        return self

    def __exit__(self, *why):
        self.note(-1)
        self.inner.release()


class Aliased:
    """The same under other names."""

    def __init__(self, state):
        self.state = state

    def begin(self):
        self.state.open += 1
        touch(self.state)

    def end(self, *why):
        touch(self.state)
        self.state.open -= 1

    __enter__, __exit__ = begin, end


class PyLock:
    """acquire and release written in Python."""

    def __init__(self, state):
        self.state = state
        self.inner = threading.Lock()

    def acquire(self, *args):
        self.inner.acquire()
        self.state.open += 1
        for _ in range(3):
            touch(self.state)
        return True

    def release(self):
        for _ in range(3):
            touch(self.state)
        self.state.open -= 1
        self.inner.release()


def noted(f):
    @functools.wraps(f)
    def wrapper(*args, **kwargs):
        return f(*args, **kwargs)

    return wrapper


class Decorated(PyLock):
    acquire = noted(PyLock.acquire)


class Renamed(PyLock):
    def take(self, *args):
        touch(self)
        return PyLock.acquire(self)

    acquire = take


class Async:
    """An asynchronous context manager and lock whose coroutines have other names."""

    def __init__(self, state):
        self.state = state

    async def take(self):
        self.state.open += 1
        for _ in range(3):
            touch(self.state)
        return True

    async def give(self, *why):
        for _ in range(3):
            touch(self.state)
        self.state.open -= 1

    def __aenter__(self):
        return self.take()

    acquire, __aexit__ = take, give


class Slow(logging.Handler):
    def emit(self, record):
        spin(3)


class State:
    def __init__(self):
        self.open, self.runs = 0, True  # clean-up that has to run
        self.lock, self.rlock, self.cond, self.sem, self.event, self.queue = (
            threading.Lock(), threading.RLock(), threading.Condition(), threading.Semaphore(), threading.Event(), queue.Queue())
        self.counted, self.aliased, self.pylock = Counted(self), Aliased(self), PyLock(self)
        self.decorated, self.renamed, self.asynchronous = Decorated(self), Renamed(self), Async(self)
        self.log = logging.Logger("interrupted")
        self.handler = Slow()
        self.log.addHandler(self.handler)
        self.barrier = threading.Barrier(1)


def touch(s):
    return s


def spin(n):
    for _ in range(n):
        pass


def count():
    n = 0
    while True:
        yield n
        n += 1


def with_lock(s):
    while True:
        with s.lock:
            pass


def with_rlock(s):
    while True:
        with s.rlock:
            touch(s)


def with_counted(s):
    while True:
        with s.counted:
            pass


def with_aliased(s):
    while True:
        with s.aliased:
            pass


def with_two(s):
    while True:
        with s.lock, s.counted as c, s.rlock:
            touch(c)


def loop_in_with(s):
    with s.lock:
        while True:
            pass


def loop_in_two(s):
    with s.counted, s.lock:
        for n in count():
            n += 1


def comprehension_in_with(s):
    with s.lock:
        return [0 for _ in count() if _ < 0]


def loop_in_try(s):
    s.lock.acquire()
    try:
        while True:
            pass
    finally:
        s.lock.release()


def acquire_try(s):
    while True:
        s.lock.acquire()
        try:
            sum(range(20))
        finally:
            s.lock.release()


def acquire_result_try(s):
    while True:
        if s.lock.acquire(True, 1):
            try:
                touch(s)
            finally:
                s.lock.release()


def pylock_try(s):
    while True:
        s.pylock.acquire()
        try:
            touch(s)
        finally:
            s.pylock.release()


def acquire_decorated(s):
    while True:
        s.decorated.acquire()
        try:
            touch(s)
        finally:
            s.decorated.release()


def acquire_renamed(s):
    while True:
        s.renamed.acquire(*(True,), **{})
        try:
            touch(s)
        finally:
            s.renamed.release()


def acquire_local(s):
    _acquire = s.renamed.acquire
    while True:
        _acquire(True if s else False)
        try:
            touch(s)
        finally:
            s.renamed.release()


def acquire_if_not(s):
    def once():
        if not s.pylock.acquire():
            return
        try:
            touch(s)
        finally:
            s.pylock.release()

    while True:
        once()


def acquire_assert(s):
    while True:
        assert s.pylock.acquire(), "no"
        try:
            touch(s)
        finally:
            s.pylock.release()


def acquire_while_not(s):
    while True:
        while not s.pylock.acquire(False):
            touch(s)
        try:
            touch(s)
        finally:
            s.pylock.release()


def acquire_walrus(s):
    while True:
        if (got := s.pylock.acquire()) and s:
            try:
                touch(got)
            finally:
                s.pylock.release()


def acquire_pass(s):
    while True:
        s.pylock.acquire()
        try:
            pass
        finally:
            s.pylock.release()


def acquire_break(s):
    while True:
        while True:
            s.pylock.acquire()
            try:
                break
            finally:
                s.pylock.release()


def acquire_return(s):
    def once():
        s.pylock.acquire()
        try:
            return
        finally:
            s.pylock.release()

    while True:
        once()


def acquire_continue(s):
    while True:
        s.pylock.acquire()
        try:
            continue
        finally:
            s.pylock.release()


def no_positions(s):
    def work():
        s.open += 1
        try:
            for _ in range(3):
                touch(_)
        finally:
            for _ in range(20):
                touch(_)
            s.open -= 1

    bare = types.FunctionType(work.__code__.replace(co_linetable=b""), globals(), closure=work.__closure__)
    while True:
        bare()


def one_position(s):
    tree = ast.parse("def work(s):\n    try:\n        while True:\n            touch(s)\n    finally:\n        touch(s)")
    for node in ast.walk(tree):
        if hasattr(node, "lineno"):
            node.lineno = node.end_lineno = 1
            node.col_offset = node.end_col_offset = 0
    names = {"touch": touch}
    exec(compile(tree, "generated", "exec"), names)
    names["work"](s)


def except_if(s):
    with s.lock:
        try:
            raise KeyError
        except (KeyError if s else ValueError):
            while True:
                pass


def except_or(s):
    nothing = None
    with s.lock:
        try:
            raise KeyError
        except (nothing or KeyError):
            while True:
                pass


def loop_after_break(s):
    for n in range(3):
        try:
            touch(n)
        finally:
            if n == 1:
                break
    while True:
        pass


def dropped(s):
    class Thing:
        def close(self):
            spin(3)
            s.open -= 1

        __del__ = close

    while True:
        thing = Thing(); s.open += 1
        del thing
        thing = Thing(); s.open += 1
        thing = None


def dropped_weakly(s):
    class Thing:
        pass

    def gone(ref):
        spin(3)
        s.open -= 1

    while True: thing = Thing(); ref = weakref.ref(thing, gone); s.open += 1; del thing


def finally_loops(s):
    while True:
        s.open += 1
        try:
            touch(s)
        finally:
            for _ in range(50):
                touch(s)
            s.open -= 1


def finally_in_finally(s):
    while True:
        s.open += 2
        try:
            touch(s)
        finally:
            try:
                spin(3)
            finally:
                spin(3)
                s.open -= 1
            try:
                raise ValueError
            except ValueError as e:
                touch(e)
            finally:
                s.open -= 1


def return_in_try(s):
    def once():
        s.open += 1
        try:
            for _ in range(5):
                if _ == 3:
                    return touch(s)
        finally:
            spin(3)
            s.open -= 1

    while True:
        once()


def raises_in_try(s):
    while True:
        try:
            s.open += 1
            try:
                raise KeyError(1)
            finally:
                spin(5)
                s.open -= 1
        except KeyError:
            pass


@contextlib.contextmanager
def managed(s):
    s.open += 1
    try:
        yield touch(s)
    finally:
        spin(5)
        s.open -= 1


def with_managed(s):
    while True:
        with managed(s):
            pass


def loop_in_managed(s):
    with managed(s), managed(s):
        while True:
            spin(3)


def decorated(s):
    @managed(s)
    def work():
        spin(1000)

    while True:
        work()


def exit_stack(s):
    def back():
        spin(3)
        s.open -= 1

    while True:
        with contextlib.ExitStack() as stack:
            s.open += 1; stack.callback(back)
            stack.enter_context(s.counted)
            touch(s)


def exit_stack_aliased(s):
    while True:
        with contextlib.ExitStack() as stack:
            stack.enter_context(s.aliased)
            touch(s)


def finalizer(s):
    class Thing:
        pass

    def back():
        spin(5)
        s.open -= 1

    while True:
        thing = Thing()
        s.open += 1; weakref.finalize(thing, back)
        del thing  # else the exception's frame would keep it


def closing(s):
    class Closes:
        def close(self):
            spin(5)
            s.open -= 1

    while True:
        s.open += 1
        with contextlib.closing(Closes()):
            touch(s)


def generator(s):
    def items():
        s.open += 1
        try:
            for n in range(5):
                yield touch(n)
        finally:
            spin(3)
            s.open -= 1

    while True:
        for n in items():
            touch(n)


def generator_left(s):
    def items():
        s.open += 1
        try:
            while True:
                yield 1
        finally:
            spin(3)
            s.open -= 1

    while True:
        for n in items():
            break


def recursion(s):
    def down(n):
        with s.rlock:
            s.open += 1
            try:
                if n:
                    down(n - 1)
            finally:
                s.open -= 1

    while True:
        down(30)


def sort_key(s):
    def key(n):
        with s.lock:
            return -n

    while True:
        sorted(range(50), key=key)


def executed(s):
    exec("while True:\n    with s.lock:\n        touch(s)", {"s": s, "touch": touch})


def mapped(s):
    def one(n):
        s.lock.acquire()
        try:
            return n
        finally:
            s.lock.release()

    for _ in map(one, count()):
        pass


def condition(s):
    while True:
        with s.cond:
            s.cond.notify_all()
            s.cond.wait(0.0001)


def condition_for(s):
    while True:
        with s.cond:
            s.cond.wait_for(lambda: False, 0.0002)


def semaphore(s):
    while True:
        with s.sem:
            touch(s)


def semaphore_try(s):
    while True:
        s.sem.acquire()
        try:
            spin(3)
        finally:
            s.sem.release()


def event(s):
    while True:
        s.event.set()
        s.event.wait(0.001)
        s.event.clear()


def put_get(s):
    while True:
        s.queue.put(1)
        try:
            s.queue.get(timeout=0.001)
        except queue.Empty:
            pass


def log(s):
    while True:
        s.log.warning("interrupted %d", 1)


def barrier(s):
    while True:
        s.barrier.wait()


def cached(s):
    @functools.lru_cache(maxsize=4)
    def square(n):
        with s.lock:
            return n * n

    for n in count():
        square(n % 9)


def futures(s):
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        while True:
            pool.submit(touch, s).result()


def coroutine(s):
    @contextlib.asynccontextmanager
    async def held():
        s.open += 1
        try:
            yield
        finally:
            spin(3)
            s.open -= 1

    async def main():
        while True:
            async with held():
                touch(s)

    drive(main())


def drive(coroutine):
    try:
        coroutine.send(None)
    except StopIteration:
        pass


def async_with(s):
    async def main():
        while True:
            async with s.asynchronous:
                touch(s)

    drive(main())


def async_acquire(s):
    async def main():
        while True:
            await s.asynchronous.acquire()
            try:
                touch(s)
            finally:
                await s.asynchronous.give()

    drive(main())


def run_loop(s):
    async def main():
        while True:
            with s.lock:
                touch(s)

    asyncio.run(main())


FORMS = [with_lock, with_rlock, with_counted, with_aliased, with_two, loop_in_with, loop_in_two, comprehension_in_with, loop_in_try, acquire_try,
         acquire_result_try, pylock_try, acquire_decorated, acquire_renamed, acquire_local, acquire_if_not, acquire_assert, acquire_while_not, acquire_walrus,
         acquire_pass, acquire_break, acquire_return, acquire_continue, no_positions, one_position, except_if, except_or, loop_after_break, dropped,
         dropped_weakly, finally_loops, finally_in_finally, return_in_try, raises_in_try, with_managed, loop_in_managed, decorated,
         exit_stack, exit_stack_aliased, finalizer, closing, generator, generator_left, recursion, sort_key, executed, mapped, condition, condition_for, semaphore, semaphore_try,
         event, put_get, log, barrier, cached, futures, coroutine, async_with, async_acquire, run_loop]
states = {}


def names():
    return [f.__name__ for f in FORMS]


def run(key):
    """Runs a form for ever, on the state of that key: "form" or "form/what else tells it apart"."""
    state = states[key] = State()
    try:
        globals()[key.split("/")[0]](state)
    finally:
        state.runs = False


def broken(key):
    """What the interruption of run(key) has left behind, "" for nothing. It may not have begun, or "runs" still: its caller was freed."""
    s = states.get(key)
    if s is None:
        return ""
    if s.runs:
        return "runs"
    del states[key]
    left = []

    def look():
        for name in "lock", "rlock", "cond", "sem":
            lock = getattr(s, name)
            if lock.acquire(True, 5) if name != "cond" else lock.acquire(timeout=5):
                lock.release()
            else:
                left.append(name)
        for name, lock in ("queue", s.queue.mutex), ("event", s.event._cond), ("handler", s.handler.lock), ("counted", s.counted.inner), ("pylock", s.pylock.inner), ("decorated", s.decorated.inner), ("renamed", s.renamed.inner), ("barrier", s.barrier._cond):
            if lock.acquire(timeout=5):
                lock.release()
            else:
                left.append(name)
        if logging._lock.acquire(timeout=5):
            logging._lock.release()
        else:
            left.append("logging's own lock")
        if s.open:
            left.append(f"{s.open} left open")

    t = threading.Thread(target=look)  # who has an RLock locks it again
    t.start()
    t.join()
    return ", ".join(left)
