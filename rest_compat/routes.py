"""Which endpoint serves a request: one route may have alternates, chosen by the parameters of the query."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import combinations

from rest_compat.directives import Condition
from rest_compat.endpoint import Endpoint
from rest_compat.mistakes import DocumentErrors, Mistake
from rest_compat.router import Router


@dataclass(slots=True)
class Route:
    """The endpoints of one method and path."""

    endpoints: list[Endpoint] = field(default_factory=list)

    @property
    def main(self) -> Endpoint:
        """The one that serves the request if no condition holds."""
        return next(iter(each for each in self.endpoints if not each.declared.rest.when), self.endpoints[0])

    def choose(self, query: Mapping[str, str]) -> Endpoint:
        """The alternate whose `when` holds. A value is more particular than a mere presence."""
        if len(self.endpoints) == 1:
            return self.endpoints[0]
        holding = [
            (condition.value is None, number)
            for number, endpoint in enumerate(self.endpoints)
            for condition in endpoint.declared.rest.when
            if _holds(condition, query)
        ]
        return self.endpoints[min(holding)[1]] if holding else self.main


def _holds(condition: Condition, query: Mapping[str, str]) -> bool:
    return condition.parameter in query and condition.value in {None, query[condition.parameter]}


def routed(endpoints: Iterable[Endpoint], reserved: frozenset[str] = frozenset()) -> tuple[Router[Route], list[Route]]:
    """The router, and its routes in the order of the documents. Raises `DocumentErrors` for what is ambiguous."""
    router: Router[Route] = Router(reserved)
    routes: list[Route] = []
    for endpoint in endpoints:
        route = router.add(endpoint.declared.rest.method, endpoint.declared.template, Route)
        if not route.endpoints:
            routes.append(route)
        route.endpoints.append(endpoint)
    mistakes = [mistake for route in routes for mistake in _ambiguities(route)]
    if mistakes:
        raise DocumentErrors(mistakes)
    return router, routes


def _ambiguities(route: Route) -> Iterator[Mistake]:
    for first, second in combinations((endpoint.declared for endpoint in route.endpoints), 2):
        if str(first.template) != str(second.template):
            yield Mistake.at(second.rest_node, f"The same path as {first.template} at {first.place}, under other names.")
        elif not first.rest.when and not second.rest.when:
            yield Mistake.at(second.rest_node, f"{first.name!r} at {first.place} already serves this route.")
        elif any(one.overlaps(other) for one in first.rest.when for other in second.rest.when):
            yield Mistake.at(second.rest_node, f"One request may satisfy both this `when` and that of {first.name!r}.")
    if all(endpoint.declared.rest.when for endpoint in route.endpoints):
        yield Mistake.at(route.main.declared.rest_node, "No alternate of this route goes without `when`.")
