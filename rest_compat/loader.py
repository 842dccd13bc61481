"""From `operations/<dialect>/*.graphql` to endpoints. Every mistake is found before anything is served.

The files of a folder are one document: its fragments are shared, one per wire resource.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from graphql import (
    DefinitionNode,
    DirectiveNode,
    DocumentNode,
    GraphQLSyntaxError,
    NoUnusedVariablesRule,
    OperationDefinitionNode,
    OverlappingFieldsCanBeMergedRule,
    Source,
    parse,
    separate_operations,
    specified_rules,
    validate,
)

from engine.operation import UnplannableError
from rest_compat.binder import Binder
from rest_compat.declaration import Declaration
from rest_compat.dialect import Dialect
from rest_compat.directives import Rest, Vocabulary
from rest_compat.endpoint import Endpoint, Graph
from rest_compat.mistakes import DocumentErrors, Mistake, Place
from rest_compat.models import Models, Unsupported
from rest_compat.parameters import Parameters, usages_of
from rest_compat.projector import Projector
from rest_compat.router import BadTemplate, Template
from rest_compat.rules import RULES
from rest_compat.selection import Selector
from rest_compat.wire_names import executable, with_wire_keys

# A variable may go unused if it carries a constraint; `rules.unused_variables` sees to the others.
_VALIDATION = tuple(rule for rule in specified_rules if rule is not NoUnusedVariablesRule)


def load(operations: Path, graph: Graph, dialects: Sequence[Dialect]) -> tuple[Endpoint, ...]:
    """Every endpoint of every dialect, in the order of files and lines. Raises `DocumentErrors`."""
    vocabulary = Vocabulary(dialect.name.upper() for dialect in dialects)
    mistakes = list(_stray_folders(operations, dialects))
    endpoints: list[Endpoint] = []
    for dialect in dialects:
        folder = _Folder(operations / dialect.name, graph, dialect, vocabulary)
        endpoints += folder.endpoints()
        mistakes += folder.mistakes
    mistakes += _same_names(endpoints)
    if mistakes:
        raise DocumentErrors(mistakes)
    return tuple(endpoints)


def _stray_folders(operations: Path, dialects: Sequence[Dialect]) -> Iterator[Mistake]:
    known = {dialect.name for dialect in dialects}
    for path in sorted(operations.glob("**/*.graphql")):
        folder = path.relative_to(operations).parent
        if str(folder) not in known:
            yield Mistake(Place(_shown(path)), f"There is no dialect {str(folder)!r} for this folder.")


def _same_names(endpoints: Sequence[Endpoint]) -> Iterator[Mistake]:
    """Validation finds two of a name in one folder; names are also unique across folders, for OpenAPI."""
    first: dict[str, Declaration] = {}
    for declared in (endpoint.declared for endpoint in endpoints):
        other = first.setdefault(declared.name, declared)
        if other.dialect is not declared.dialect:
            yield Mistake(declared.place, f"There is another operation {declared.name!r} at {other.place}.")


def _shown(path: Path) -> str:
    """As a terminal would link it."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


class _Folder:
    """The documents of one dialect."""

    def __init__(self, path: Path, graph: Graph, dialect: Dialect, vocabulary: Vocabulary) -> None:
        self.mistakes: list[Mistake] = []
        self._graph = graph
        self._dialect = dialect
        self._vocabulary = vocabulary
        self._models = Models(dialect.leaves, dialect.spell)
        self._parameters = Parameters(graph.schema, vocabulary, dialect.spell)
        definitions = [definition for file in sorted(path.glob("*.graphql")) for definition in self._parse(file)]
        self._document = DocumentNode(definitions=tuple(definitions))

    def endpoints(self) -> Iterator[Endpoint]:
        """Those of the operations that draw on files without mistakes only."""
        errors = validate(self._vocabulary.extend(self._graph.schema), self._document, _VALIDATION, max_errors=None)
        self.mistakes += map(Mistake.of, errors)
        broken = {mistake.place.file for mistake in self.mistakes}
        for alone in separate_operations(self._document).values():
            if broken.isdisjoint(Place.of(each).file for each in alone.definitions):
                yield from self._operation(with_wire_keys(alone, self._vocabulary, snake=self._dialect.snake))

    def _parse(self, file: Path) -> Sequence[DefinitionNode]:
        try:
            return parse(Source(file.read_text(encoding="utf-8"), _shown(file))).definitions
        except GraphQLSyntaxError as error:
            self.mistakes.append(Mistake.of(error))
            return ()

    def _operation(self, document: DocumentNode) -> Iterator[Endpoint]:
        (definition,) = (each for each in document.definitions if isinstance(each, OperationDefinitionNode))
        clashes = validate(self._graph.schema, document, [OverlappingFieldsCanBeMergedRule])
        self.mistakes += map(Mistake.of, clashes)
        rests = self._vocabulary.rests(definition)
        if definition.name is None:
            self.mistakes.append(Mistake.at(definition, "An operation needs a name."))
        elif not rests:
            self.mistakes.append(Mistake.at(definition, f"The operation {definition.name.value!r} has no @rest."))
        elif not clashes:
            for rest, node in rests:
                yield from self._endpoint(document, definition, rest, node)

    def _endpoint(
        self, document: DocumentNode, definition: OperationDefinitionNode, rest: Rest, node: DirectiveNode
    ) -> Iterator[Endpoint]:
        declared = self._declare(document, definition, rest, node)
        if declared is None:
            return
        mistakes = [mistake for rule in RULES for mistake in rule(declared)]
        self.mistakes += mistakes
        if not mistakes:
            yield from self._build(document, declared)

    def _declare(
        self, document: DocumentNode, definition: OperationDefinitionNode, rest: Rest, node: DirectiveNode
    ) -> Declaration | None:
        if rest.dialect != self._dialect.name.upper():
            self.mistakes.append(Mistake.at(node, f"This folder is {self._dialect.name.upper()}, not {rest.dialect}."))
            return None
        try:
            template = Template.parse(rest.path)
        except BadTemplate as error:
            self.mistakes.append(Mistake.at(node, f"Bad path {rest.path!r}: {error}."))
            return None
        assert definition.name is not None, "an operation without a name does not come this far"
        return Declaration(
            name=definition.name.value,
            definition=definition,
            rest=rest,
            rest_node=node,
            dialect=self._dialect,
            template=template,
            parameters=self._parameters.of(definition, rest, template, usages_of(self._graph.schema, document)),
            selection=Selector(self._graph.schema, document, self._vocabulary).of(definition),
            said_wire=self._vocabulary.wire(definition),
        )

    def _build(self, document: DocumentNode, declared: Declaration) -> Iterator[Endpoint]:
        used = {parameter.variable for parameter in declared.parameters if parameter.usages}
        plain = executable(document, self._vocabulary, used)
        try:
            binder = Binder(declared.name, declared.parameters, self._models, self._dialect)
            operation = self._graph.prepare(plain, declared.name, leaves=self._dialect.leaves)
        except (Unsupported, UnplannableError) as error:
            self.mistakes.append(Mistake.at(declared.definition, str(error)))
            return
        yield Endpoint(declared, operation, binder, Projector(declared.selection, self._graph.noun))
