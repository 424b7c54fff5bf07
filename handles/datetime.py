"""datetime's objects from and to Go's times. Everything goes through attributes and constructors, since not every interpreter
has the C module."""
from datetime import datetime, timedelta, timezone
from functools import cache
from operator import attrgetter

date = attrgetter("year", "month", "day")
clock = attrgetter("hour", "minute", "second", "microsecond")
delta = attrgetter("days", "seconds", "microseconds")

microsecond = timedelta(microseconds=1)


def fixed(seconds, name):
    "the timezone of an offset"
    offset = timedelta(seconds=seconds)
    return timezone(offset, name) if name else timezone(offset)


@cache
def zone_class():
    "ZoneInfo, or None where Python has none"
    try:
        from zoneinfo import ZoneInfo
        return ZoneInfo
    except ImportError:
        return None


def named(key):
    "the ZoneInfo of that key, or None"
    try:
        return zone_class() and zone_class()(key)
    except (LookupError, OSError, ValueError):
        return None


def make(year, month, day, hour, minute, second, microsecond, seconds, name, key):
    "the datetime whose offset, and the zone's name, are Go's; of the zone of that key if that agrees"
    fields = year, month, day, hour, minute, second, microsecond
    zone = named(key) if key else None
    if zone is not None:
        for fold in 0, 1:
            d = datetime(*fields, tzinfo=zone, fold=fold)
            if d.utcoffset() == timedelta(seconds=seconds):
                return d
    return datetime(*fields, tzinfo=fixed(seconds, name))


def zone_of(zone, offset, name):
    "the name that Go's zone has, and a key to look that up"
    if name == "UTC" and not offset:
        return "", "UTC"
    if isinstance(zone, timezone) and name == timezone(offset).tzname(None):
        return "", "" # which Python made up
    key = zone.key if zone_class() and isinstance(zone, zone_class()) else None
    return name or "", key or ""


def moment(d):
    "what a Go time is made of"
    m = {f: getattr(d, f) for f in ("year", "month", "day", "hour", "minute", "second", "microsecond", "fold")}
    offset = d.utcoffset()
    if offset is None:
        return m
    m["offset"] = offset // microsecond
    try:
        name = d.tzname()
    except NotImplementedError: # a class of a program's own, which need not have it
        name = ""
    m["name"], m["key"] = zone_of(d.tzinfo, offset, name)
    return m


def location(zone):
    "the offset of a timezone in microseconds, and its name and key"
    offset = zone.utcoffset(None)
    name, key = zone_of(zone, offset, zone.tzname(None))
    return {"offset": offset // microsecond, "name": name, "key": key}
