"""Files from outside in every shape that they should not have, made from one that is right."""

import json
from collections.abc import Callable, Iterator
from copy import deepcopy

RAW = "@@"
MUTATIONS: dict[str, Callable[[object], object]] = {
    "null": lambda _: None,
    "another type": lambda value: 7 if isinstance(value, str) else "x",
    "list": lambda _: [[]],
    "object": lambda _: {"a": {}},
    "not a number": lambda _: float("nan"),
    "huge": lambda value: "x" * 2_000_000 if isinstance(value, str) else 10**300,
    "negative": lambda _: -1,
    "deep": lambda _: RAW,
    "digits": lambda _: RAW,
    "half a letter": lambda _: RAW,
}
"""What stands in the place of a value."""

UNREADABLE = {
    "deep": "[" * 100_000 + "]" * 100_000,
    "digits": "9" * 5_000,
    "half a letter": '"\\ud800"',
}
"""What no reader of JSON follows; it is written as it is."""

BROKEN = {
    "empty": b"",
    "half": b'{"schema": 1, ',
    "a list": b"[1]",
    "a number": b"3",
    "null": b"null",
    "not UTF-8": b'{"schema": "\xff"}',
    "binary": bytes(range(256)) * 40,
    "deep": b'{"a":' * 100_000,
}
"""Whole files that are something else."""

Place = tuple[str | int, ...]


def places(value: object, above: Place = ()) -> Iterator[Place]:
    """Where values stand: every key, and the first of every list."""
    inner = (
        (value.items() if isinstance(value, dict) else [(0, value[0])] if value else ())
        if isinstance(value, dict | list)
        else ()
    )
    for key, below in inner:
        yield (*above, key)
        yield from places(below, (*above, key))


def mutated(value: object, place: Place, mutation: str) -> str:
    """The JSON text of ``value`` with another value at a place, or (``gone``) without it."""
    changed = deepcopy(value)
    *above, last = place
    inner = changed
    for key in above:
        inner = inner[key]
    if mutation == "gone":
        del inner[last]
    else:
        inner[last] = MUTATIONS[mutation](inner[last])
    return json.dumps(changed).replace(f'"{RAW}"', UNREADABLE.get(mutation, ""))
