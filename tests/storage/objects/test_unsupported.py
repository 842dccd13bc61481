"""A kind of storage without adapter refuses everything and writes nothing."""

from __future__ import annotations

import pytest

from core.errors import NotSupported
from storage.objects.unsupported import UnsupportedStore


@pytest.mark.parametrize("call", ["locate", "exists", "open", "delete", "begin"])
def test_every_call_is_refused_with_the_same_words(call):
    store = UnsupportedStore("s3")
    arguments = ("a/b", "t") if call == "begin" else ("a/b",)
    with pytest.raises(NotSupported, match="storage locations of type s3 are not available in this version"):
        getattr(store, call)(*arguments)


def test_there_is_nothing_to_discard():
    UnsupportedStore("s3").discard("/x", "t")
