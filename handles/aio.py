"""Runs coroutines for Go on an event loop of their own."""
import asyncio
import contextvars
import importlib
import types


def find(spec):
    module, _, path = spec.partition(":")
    found = importlib.import_module(module)
    for part in path.split("."):
        found = getattr(found, part)
    return found


def run(fd, take, done):
    """Runs until Go says so. take() gives what Go wants done when fd is readable: the id, what, function and args of one after the
    other. done(ids, values) tells it what became of some: a result each, or an exception where the id is negative."""
    loop = asyncio.new_event_loop()
    context = contextvars.copy_context()
    tasks, ids, generators, functions = {}, {}, {}, {}
    ended_ids, values = [], []

    async def wait(awaitable):
        return await awaitable

    def start(id, coroutine):
        task = tasks[id] = loop.create_task(coroutine)
        ids[task] = id
        task.add_done_callback(ended, context=context)

    def ended(task):
        id = ids.pop(task)
        del tasks[id]
        if task.cancelled():
            finish(-id, asyncio.CancelledError())
        elif (exception := task.exception()) is not None:
            finish(-id, exception)
        else:
            finish(id, task.result())

    def finish(id, value):
        if not values:
            loop.call_soon(flush, context=context)
        ended_ids.append(id)
        values.append(value)

    def flush():
        nonlocal ended_ids, values
        now = ended_ids, values
        ended_ids, values = [], []
        done(*now)

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
        if id in tasks:
            tasks[id].cancel()

    def forget(id, spec, args):
        functions.pop(spec, None)

    def stop(id, spec, args):
        loop.stop()

    def unreadable(id, exception, args):
        finish(-id, exception)

    does = {f.__name__: f for f in (call, generate, next, close, cancel, forget, stop)}
    does[None] = unreadable

    def drain():
        orders = iter(take())
        for id, what, spec, args in zip(orders, orders, orders, orders):
            try:
                does[what](id, spec, args)
            except BaseException as exception:  # a coroutine's caller must learn it, and the others' must not
                finish(-id, exception)

    loop.add_reader(fd, drain)
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        loop.remove_reader(fd)
        for task in asyncio.all_tasks(loop):
            task.cancel()
        while pending := asyncio.all_tasks(loop):
            loop.run_until_complete(asyncio.gather(*pending, return_exceptions=True))
        generators.clear()
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
        if values:
            flush()
        asyncio.set_event_loop(None)
        loop.close()
