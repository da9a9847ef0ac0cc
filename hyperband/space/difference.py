"""What changed between two definitions, in lines for people."""

from collections.abc import Iterator

from hyperband.space.tree import Choice, Node, Record, join


def difference(old: Record, new: Record) -> list[str]:
    """Return one line for each entry that was changed, removed or added; empty exactly if the two are equal."""
    before, after = dict(_flatten(old, "", ())), dict(_flatten(new, "", ()))
    lines = []
    for label, text in before.items():
        if label not in after:
            lines.append(f"{label}: removed")
        elif after[label] != text:
            lines.append(f"{label}: {text} -> {after[label]}")
    lines += [f"{label}: added {text}" for label, text in after.items() if label not in before]
    if not lines and old != new:
        # Not cosmetic: the order of the definition is the order of the draws.
        lines.append(f"the order of the hyperparameters: {old!r} -> {new!r}")
    return lines


def _flatten(node: Node, path: str, when: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Yield (label, description) of every entry; lists and choices over a list are one entry each."""
    label = f"{path} (when {' and '.join(when)})" if when else path
    match node:
        case Record(entries) if entries:
            for name, child in entries:
                yield from _flatten(child, join(path, name), when)
        case Choice(options, names) if names is not None:
            yield label, f"choice of {', '.join(map(repr, names))}"
            for name, option in zip(names, options, strict=True):
                if option != Record(()):
                    yield from _flatten(option, path, (*when, f"{path} is {name!r}"))
        case _:
            yield label, repr(node)
