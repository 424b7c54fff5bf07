"""Go functions that Python awaits. A call runs on a goroutine, which tells the event loop through a pipe when it has ended."""
import asyncio
import weakref

_bridges = weakref.WeakKeyDictionary()  # by event loop; a bridge must not refer to its loop


class Bridge:
    """What goroutines tell one event loop."""

    def __init__(self):
        self.number, self.fd, self.take = bridge()
        self.futures = weakref.WeakValueDictionary()  # by call; who awaits one holds it

    def drain(self):
        told = iter(self.take())
        for id, _, _, _ in zip(told, told, told, told):
            future = self.futures.pop(id, None)
            if future is not None and not future.done():
                future.set_result(None)


def _bridge(loop):
    b = _bridges.get(loop)
    if b is None:
        b = Bridge()
        weakref.finalize(loop, unbridge, b.number).atexit = False
        loop.add_reader(b.fd, b.drain)
        _bridges[loop] = b
    return b


def _drop(id, drop=drop, ending=RuntimeError):  # also when this module has gone
    try:
        drop(id)
    except ending:  # Python calls Go no more
        pass


def awaited(prepare, drop=_drop):
    """Make an async function of prepare(*args), which converts the arguments and gives the call's number,
    and an object with which the call goes."""

    async def call(*args):
        loop = asyncio.get_running_loop()
        b = _bridge(loop)
        id, held = prepare(*args)
        future = b.futures[id] = loop.create_future()
        try:
            begin(id, b.number)
            await future
            return outcome(id)
        except BaseException:
            drop(id)  # now: the traceback holds the frame
            raise

    return call
