"""What the service example computes: how likely a visitor is to buy."""

import math
import time

WEIGHTS = {"age": 0.01, "visits": 0.08, "basket": 0.004}
COUNTRIES = {"PT": 0.3, "ES": 0.2, "FR": 0.1}


def score(features: dict, ms: float) -> float:
    """The likelihood, from 0 to 1. KeyError, TypeError and ValueError say what is wrong with the features.

    ms is for demonstrations: the milliseconds to compute for.
    """
    total = COUNTRIES.get(text(features, "country"), 0.0) - 2.0
    for name, weight in WEIGHTS.items():
        total += weight * number(features, name)
    compute(ms / 1000)
    return 1 / (1 + math.exp(-total))


def text(features: dict, name: str) -> str:
    value = features[name]
    if not isinstance(value, str):
        raise TypeError(f"{name}: give a text, not {type(value).__name__}")
    return value


def number(features: dict, name: str) -> float:
    value = features[name]
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name}: give a number, not {type(value).__name__}")
    if not 0 <= value <= 100_000:
        raise ValueError(f"{name}: give 0 to 100000, not {value:g}")
    return value


def compute(seconds: float) -> None:
    """Computes in pure Python for that long, not counting what others use of the GIL meanwhile."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        for _ in range(200):
            pass
