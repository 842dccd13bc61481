"""How long tests search that search at random: `TEST_EFFORT=10` ten times as long, as before a release."""

from __future__ import annotations

import os

EFFORT = float(os.environ.get("TEST_EFFORT", "1"))
