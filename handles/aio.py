"""Runs coroutines for Go on an event loop of their own."""
import asyncio
import importlib
import os
import types


def find(spec):
    module, _, path = spec.partition(":")
    found = importlib.import_module(module)
    for part in path.split("."):
        found = getattr(found, part)
    return found


def run(fd, take, taken, order, done):
    """Runs until Go says so. take() gives what Go wants done next: (what, id, function, args), taken() and order(id) the same again; done(id, ok, value)
    tells it what became of it: a result, or an exception."""
    loop = asyncio.new_event_loop()
    tasks, generators, functions = {}, {}, {}

    async def wait(awaitable):
        return await awaitable

    def start(id, coroutine):
        task = tasks[id] = loop.create_task(coroutine)
        task.add_done_callback(lambda task: ended(id, task))

    def ended(id, task):
        del tasks[id]
        if task.cancelled():
            done(id, False, asyncio.CancelledError())
        elif (exception := task.exception()) is not None:
            done(id, False, exception)
        else:
            done(id, True, task.result())

    def begin(what, id, spec, args):
        try:
            if what == "cancel":
                if id in tasks:
                    tasks[id].cancel()
                return
            if what == "stop":
                return loop.stop()
            if what == "next":
                return start(id, generators[args[0]].__anext__())
            if what == "close":
                generator = generators.pop(args[0], None)
                return start(id, generator.aclose()) if generator is not None else done(id, True, None)
            function = functions.get(spec)
            if function is None:
                function = functions[spec] = find(spec)
            if what == "generate":
                generator = function(*args)
                if not hasattr(generator, "__anext__"):
                    if type(generator) is types.CoroutineType:
                        generator.close()  # else Python warns that nobody awaits it
                    raise TypeError(f"{function.__qualname__}() gave a {type(generator).__name__!r} object, which is no async generator")
                generators[id] = generator
                return done(id, True, None)
            result = function(*args)
            if type(result) is not types.CoroutineType:
                if not hasattr(result, "__await__"):
                    raise TypeError(f"{function.__qualname__}() gave a {type(result).__name__!r} object, which cannot be awaited: write it as async def")
                result = wait(result)
            start(id, result)
        except BaseException as exception:  # a coroutine's caller must learn it, and the others' must not
            done(id, False, exception)

    def drain():
        os.read(fd, 4096)
        try:
            orders = take()
        except Exception:  # one of them cannot be converted: which?
            orders = one_by_one()
        for order in orders:
            begin(*order)

    def one_by_one():
        orders = []
        for id in taken():
            try:
                orders.append(order(id))
            except BaseException as exception:
                done(id, False, exception)
        return orders

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
        asyncio.set_event_loop(None)
        loop.close()
