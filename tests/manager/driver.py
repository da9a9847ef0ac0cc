"""A driver to be killed: begins the experiment, or takes it up where it was left.

python driver.py STORAGE NAME EXECUTOR
"""

import sys

import hyperband as hb
from hyperband.testing.trainables import slow_chain


def main() -> None:
    """Run until done; exit code 0 means that every rung was decided."""
    storage, name, executor = sys.argv[1:]
    hb.run(
        slow_chain,
        {"x": hb.uniform(0, 1)},
        metric="loss",
        mode="min",
        scheduler=hb.Hyperband(max_resource=27, eta=3),
        storage=storage,
        name=name,
        seed=5,
        executor=executor,
        max_concurrent=2 if executor == "ray" else None,
        resume="auto",
        progress="off",
    )


if __name__ == "__main__":
    main()
