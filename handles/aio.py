"""Runs coroutines for Go on an event loop of their own."""
import asyncio
import contextvars
import importlib
import os
import threading
import time
import types

# The id of the order whose code runs. What a coroutine makes, tasks and callbacks, has it too, with its context.
order = contextvars.ContextVar("gilt.order", default=0)
run_handle = asyncio.Handle._run.__code__


def find(spec):
    module, _, path = spec.partition(":")
    found = importlib.import_module(module)
    for part in path.split("."):
        found = getattr(found, part)
    return found


def whose(frame):
    """The order in whose code the loop's thread is, of which frame is the innermost: 0 for nobody's, -1 for none."""
    while frame is not None:
        if frame.f_code is run_handle:
            handle = frame.f_locals.get("self")
            return -1 if handle is None else handle._context.get(order, 0)
        frame = frame.f_back
    return -1


def interrupts(exception):
    kind = type(exception)
    return kind.__name__ == "Cancelled" and kind.__module__ == "gilt"


def run(fd, take, enter, done):
    """Runs until Go says so. take() gives what Go wants done when fd is readable: the id, what, function and args of one after the
    other. done(ids, values) tells it what became of some: a result each, or an exception where the id is negative, in a list of one
    from which Go takes it: what is left of its frames goes with the last reference to it.

    Any allocation may fail, and an exception of gilt's may come late, in asyncio's code. Nothing that Go waits for is
    forgotten: an order stays in taken or begun until it is begun, a task in ids until its result is in results, and a result
    there until Go was told."""
    loop = asyncio.new_event_loop()
    thread = threading.get_ident()
    context = contextvars.copy_context()
    tasks, ids, generators, functions = {}, {}, {}, {}
    results = []  # (id, value)
    taken, begun = None, iter(())
    flushes = retired = forked = False
    again = SystemExit("gilt: the event loop goes on")  # it leaves run_forever

    async def wait(awaitable):
        return await awaitable

    def start(id, coroutine):
        task = tasks[id] = loop.create_task(coroutine)
        ids[task] = id
        task.add_done_callback(ended, context=context)

    def ended(task):
        id = ids.get(task)
        if id is None:  # it was found before
            return
        if task.cancelled():
            results.append((-id, [asyncio.CancelledError()]))
        elif task.exception() is not None:
            results.append((-id, [task.exception()]))
        else:
            results.append((id, task.result()))
        del ids[task], tasks[id]
        soon()

    def finish(id, value):
        results.append((id, value))
        soon()

    def soon():
        nonlocal flushes
        if not flushes:
            loop.call_soon(flush, context=context)
            flushes = True

    def flush():
        nonlocal flushes
        flushes = False
        try:
            tell()
        except MemoryError:
            raise again
        leave()

    def tell():
        if results:
            done([id for id, _ in results], [value for _, value in results])  # no Python code of the loop runs meanwhile
            results.clear()

    def leave():
        if retired and not tasks and not generators:
            loop.stop()

    def known(spec):
        functions[spec] = find(spec)
        return functions[spec]

    def call(id, spec, args):
        function = functions.get(spec) or known(spec)
        result = function(*args)
        if type(result) is not types.CoroutineType:
            if not hasattr(result, "__await__"):
                kind = type(result).__name__
                raise TypeError(f"{function.__qualname__}() gave a {kind!r} object, which cannot be awaited: write it as async def")
            result = wait(result)
        start(id, result)

    def generate(id, spec, args):
        function = functions.get(spec) or known(spec)
        generator = function(*args)
        if not hasattr(generator, "__anext__"):
            if type(generator) is types.CoroutineType:
                generator.close()  # else Python warns that nobody awaits it
            raise TypeError(f"{function.__qualname__}() gave a {type(generator).__name__!r} object, which is no async generator")
        generators[id] = generator
        finish(id, None)

    def next(id, spec, args):
        start(id, generators[args[0]].__anext__())

    def close(id, spec, args):
        generator = generators.pop(args[0], None)
        if generator is None:
            finish(id, None)
        else:
            start(id, generator.aclose())

    def cancel(id, spec, args):
        task = tasks.get(args[0])
        if task is not None:
            task.cancel()
        finish(id, None)

    def where(id, spec, args):
        task = tasks.get(args[0])
        inner, frame = task and task.get_coro(), None
        while inner is not None:
            frame = getattr(inner, "cr_frame", None) or getattr(inner, "gi_frame", None) or getattr(inner, "ag_frame", None) or frame
            inner = getattr(inner, "cr_await", None) or getattr(inner, "gi_yieldfrom", None) or getattr(inner, "ag_await", None)
        finish(id, "" if frame is None else f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}")

    def forget(id, spec, args):
        functions.pop(spec, None)

    def retire(id, spec, args):
        nonlocal retired
        retired = True
        leave()

    def stop(id, spec, args):
        loop.stop()

    def unreadable(id, exception, args):
        finish(-id, [exception])

    does = {f.__name__: f for f in (call, generate, next, close, cancel, where, forget, retire, stop)}
    does[None] = unreadable

    def begin():
        for id, what, spec, args in begun:
            try:
                order.set(id)
                does[what](id, spec, args)
            except BaseException as exception:  # a coroutine's caller must learn it, and the others' must not
                fail(id, exception)
            finally:
                order.set(0)

    def fail(id, exception):
        while True:
            try:
                results.append((-id, [exception]))
                break
            except MemoryError:
                time.sleep(0.001)
        soon()

    def drain():
        nonlocal taken, begun
        begin()
        if not taken:
            taken = take()
        if taken:
            orders = iter(taken)
            begun, taken = zip(orders, orders, orders, orders), None
            begin()

    def mend():
        """After an exception that came anywhere."""
        for task in list(ids):
            if task.done():
                ended(task)
        if results:
            loop.call_soon(flush, context=context)
        loop.call_soon(drain)

    complain = loop.call_exception_handler

    def child():
        """This is a child made by fork: the loop's descriptors and orders are the parent's."""
        nonlocal forked
        forked = True

    def leaves(exception):
        """What a child ends with. asyncio (3.14) hides a SystemExit behind an error of its own."""
        inner = exception
        while inner is not None and not isinstance(inner, SystemExit):
            inner = inner.__context__
        return inner or exception or SystemExit(1)

    def handle(what):
        if forked:
            raise leaves(what.get("exception"))
        try:
            if not interrupts(what.get("exception")):
                complain(what)
        finally:
            if threading.get_ident() == thread:  # not in a __del__ that runs elsewhere
                mend()

    def serve():
        while True:
            try:
                loop.run_forever()
                return
            except BaseException as exception:
                if forked or exception is not again and not interrupts(exception) and type(exception) is not MemoryError:
                    raise
                exception.__context__ = exception.__traceback__ = None
            for _ in range(10_000):
                try:
                    mend()
                    break
                except MemoryError:
                    time.sleep(0.001)

    def end():
        loop.remove_reader(fd)
        for task in asyncio.all_tasks(loop):
            task.cancel()
        while pending := asyncio.all_tasks(loop):
            loop.run_until_complete(asyncio.gather(*pending, return_exceptions=True))
        generators.clear()
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
        tell()
        asyncio.set_event_loop(None)
        loop.close()

    loop.add_reader(fd, drain)
    try:
        loop.call_exception_handler = handle
    except AttributeError:  # another kind of event loop
        pass
    asyncio.set_event_loop(loop)
    os.register_at_fork(after_in_child=child)
    enter(whose)
    try:
        serve()
    finally:
        try:
            if not forked:
                end()
        finally:
            enter(None)
