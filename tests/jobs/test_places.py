"""Where copies go."""

from __future__ import annotations

import pytest

from core.errors import InvalidInput
from jobs.copying import CopyFailedError
from jobs.places import Places


class Store:
    """Writes down what happens to it."""

    def __init__(self, base_path: str, reason: str | None = None) -> None:
        self.base_path = base_path
        self.reason = reason
        self.done: list[str] = []

    def locate(self, key: str) -> str:
        if ".." in key:
            raise InvalidInput("leads out")
        return f"{self.base_path}/{key}"

    def exists(self, key: str) -> bool:
        if self.reason is not None:
            raise OSError(self.reason)
        return key == "NMR/there"

    def sweep(self) -> None:
        self.done.append("sweep")
        if self.reason is not None:
            raise OSError(self.reason)

    def lost(self) -> str | None:
        return self.reason

    def interrupt(self) -> None:
        self.done.append("interrupt")

    def close(self) -> None:
        self.done.append("close")


@pytest.fixture
def opened() -> dict[str, Store]:
    return {}


@pytest.fixture
def places(opened) -> Places:
    def open_at(base_path: str) -> Store:
        if base_path == "/etc":
            raise InvalidInput("lies outside")
        opened[base_path] = Store(base_path, "gone" if base_path == "/gone" else None)
        return opened[base_path]

    return Places(Store("/main"), "NMR", open_at)


def test_below_the_base_path_and_the_instrument(places, opened):
    place = places.of("a/b")
    assert (place.locate(), place.exists(), opened) == ("/main/NMR/a/b", False, {})


def test_below_the_path_that_a_hook_names(places, opened):
    first, second = places.of("there", "/other"), places.of("b", "/other")
    assert (first.locate(), first.exists(), second.locate()) == ("/other/NMR/there", True, "/other/NMR/b")
    assert first.reach() == (opened["/other"], "NMR/there")
    assert opened["/other"].done == ["sweep"]


def test_where_nothing_may_go(places):
    place = places.of("there", "/etc")
    assert (place.locate(), place.exists()) == (None, False)
    with pytest.raises(CopyFailedError, match="a hook redirects the copy to '/etc': lies outside"):
        place.reach()


def test_a_key_that_leads_out_is_the_affair_of_the_copy(places):
    place = places.of("../a")
    assert place.locate() is None
    assert place.reach()[1] == "NMR/../a"


def test_a_place_that_is_gone_says_so(places):
    assert places.lost() is None
    assert places.of("a", "/gone").exists() is False
    assert places.lost() == "gone"


def test_all_are_interrupted_and_closed(places, opened):
    places.of("a", "/other")
    places.interrupt()
    places.close()
    assert opened["/other"].done == ["sweep", "interrupt", "close"]
    assert places.of("a").store.done == ["interrupt", "close"]


def test_those_that_were_used_last_stay_open(places, opened):
    for number in range(20):
        places.of("a", f"/{number}")
    places.of("a", "/0")
    places.trim()
    assert {name for name, store in opened.items() if "close" in store.done} == {"/1", "/2", "/3", "/4"}
    places.of("b", "/0")
    assert opened["/0"].done == ["sweep"]
