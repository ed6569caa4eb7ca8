"""Random states of checkpoints, and what becomes of them from one to the next."""

from __future__ import annotations

import random
from typing import Any


def seeded(seed: int) -> random.Random:
    """Chance that is the same in every run."""
    return random.Random(seed)  # noqa: S311 - it is no secret


def some_json(chance: random.Random, depth: int = 0) -> Any:
    """Any JSON value, now and then a large one."""
    kinds = ["short", "short", "number", "constant", "long"] + ["list", "object"] * (depth < 4)
    match chance.choice(kinds):
        case "short":
            return chance.choice(["", "a", "é\n\u2028", '"\\,[]{}', "👩‍🚀" * 3, chance.randbytes(20).hex()])
        case "long":
            return chance.choice('xé,\n"') * chance.choice([500, 512, 600, 9_000, 40_000])
        case "number":
            return chance.choice([0, -0.0, 1, 1.0, 1e23, 1.5e300, -(2**63), 2**63 - 1, 0.1, chance.random()])
        case "constant":
            return chance.choice([True, False, None, {}, []])
        case "list":
            return [some_json(chance, depth + 1) for _ in range(chance.choice([3, 6, 20, 200]) >> depth)]
        case _:
            count = chance.choice([3, 6, 40]) >> depth
            return {f"{chance.choice('kK ,é')}{number}": some_json(chance, depth + 1) for number in range(count)}


def changed(chance: random.Random, value: Any) -> Any:
    """The value with something in it added, changed or removed."""
    if isinstance(value, dict) and value and chance.random() < 0.7:
        key = chance.choice(list(value))
        match chance.choice(["in it", "in it", "in it", "new", "gone", "first", "renamed"]):
            case "in it":
                return {**value, key: changed(chance, value[key])}
            case "new":
                return {**value, f"new{chance.random()}": some_json(chance, 2)}
            case "gone":
                return {name: item for name, item in value.items() if name != key}
            case "first":
                return {f"0{chance.random()}": some_json(chance, 2), **value}
            case _:
                return {(name + "'" if name == key else name): item for name, item in value.items()}
    if isinstance(value, list) and value:
        at = chance.randrange(len(value))
        match chance.choice(["in it", "end", "end", "insert", "gone", "window", "swap", "twice"]):
            case "in it":
                return [*value[:at], changed(chance, value[at]), *value[at + 1 :]]
            case "end":
                return [*value, some_json(chance, 2)]
            case "insert":
                return [*value[:at], some_json(chance, 2), *value[at:]]
            case "gone":
                return value[:at] + value[at + 1 :]
            case "window":
                return value[1:]
            case "swap":
                return value[at:] + value[:at]
            case _:
                return [*value, value[at]]
    return some_json(chance, 2)
