"""Contract streamweave §8: `ark:/<NAAN>/<shoulder><26 chars>`."""

from __future__ import annotations

import re
from uuid import UUID

from jobs.arks import mint_ark


def test_an_ark_names_authority_shoulder_and_a_random_tail():
    assert re.fullmatch(r"ark:/99999/fk4[a-z2-7]{26}", mint_ark("99999", "fk4"))


def test_the_tail_is_the_uuid_in_base32():
    identity = UUID("4f651541-a38c-4fd5-8549-9e9f0a98eb10")
    assert mint_ark("12345", "x1", random=lambda: identity) == "ark:/12345/x1j5srkqndrrh5lbkjt2pqvghlca"


def test_arks_are_unique():
    assert len({mint_ark("99999", "fk4") for _ in range(1000)}) == 1000
