"""The README's picture shows the packages and imports that there are."""

import re

import grimp

from tests.docs.support import ROOT

PACKAGES = ("app", "core", "engine", "jobs", "resolvers", "rest_compat", "schema", "storage")


def test_solid_arrows_are_the_imports():
    picture = re.search(r"```mermaid\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert picture is not None
    drawn = set(re.findall(r'^ *(\w+) (?:-- "[^"]*" )?--> (\w+)$', picture[1], re.MULTILINE))
    assert drawn == _imports()


def _imports():
    """Without `app`, which puts everything together, and `core`, which everything uses."""
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    between = [name for name in PACKAGES if name not in {"app", "core"}]
    return {
        (source, target)
        for source in between
        for target in between
        if source != target and graph.direct_import_exists(importer=source, imported=target, as_packages=True)
    }
