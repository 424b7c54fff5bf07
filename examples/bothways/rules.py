"""A program's own Python code, embedded in the Go binary."""
import asyncio
import host  # made of Go functions: see main.go


def price(item, count=1):
    total = host.unit_price(item) * count
    return round(total * (1 - host.DISCOUNT), 2)


async def quote(item):
    await asyncio.sleep(0.01)  # a slow supplier
    return f"{item}: {price(item)}"
