"""In which order populations act within a time slice, who is reached, and where a circuit ends."""

from collections.abc import Iterable, Sequence

from conductance.errors import InputError

Edge = tuple[str, str]


def feed_forward_order(names: Sequence[str], edges: Iterable[Edge]) -> list[str]:
    """The names, each after all that feed it; as they were given where nothing else is called for.

    Raises:
        InputError: the edges form a circle.
    """
    feeders: dict[str, set[str]] = {name: set() for name in names}
    for source, target in edges:
        if source in feeders:
            feeders[target].add(source)
    order: list[str] = []
    while len(order) < len(feeders):
        ready = next((name for name in names if name not in order and feeders[name] <= set(order)), None)
        if ready is None:
            circle = _circle({name: feeders[name] - set(order) for name in names if name not in order})
            raise InputError(
                f"projections without delay form a circle: {' -> '.join(circle)}; give one of them delay=1, so that it "
                "carries what the slice before sent"
            )
        order.append(ready)
    return order


def _circle(feeders: dict[str, set[str]]) -> list[str]:
    """One circle among names that all have feeders, in the direction of the projections."""
    path = [next(iter(feeders))]
    while True:
        before = min(feeders[path[-1]])
        if before in path:
            return [before, *reversed(path[path.index(before) :])]
        path.append(before)


def reached(starts: Iterable[str], edges: Iterable[Edge]) -> set[str]:
    """All names that a path leads to, the starts included."""
    edges, found, waiting = list(edges), set(starts), list(starts)
    while waiting:
        here = waiting.pop()
        for source, target in edges:
            if source == here and target not in found:
                found.add(target)
                waiting.append(target)
    return found


def ends(names: Sequence[str], edges: Iterable[Edge]) -> list[str]:
    """The names from which no path leads to where none leads back: the last part of a circuit, with all its loops."""
    edges = list(edges)
    beyond = {name: reached([name], edges) for name in names}
    return [name for name in names if all(name in beyond[other] for other in beyond[name])]
