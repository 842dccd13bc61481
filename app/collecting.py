"""How processes that live long collect garbage: the server, and its workers.

Rows, replies and lists of files are made and dropped by the thousand, and none of them is part of a cycle.
"""

from __future__ import annotations

import gc


def settle_garbage_collector() -> None:
    """What start-up made lives for ever: leave it out of every later collection, and collect less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
