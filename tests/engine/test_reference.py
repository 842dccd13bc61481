"""graphql-core on the same declarations: as many statements, level by level."""

from tests.engine.world import book, books, key, people


async def test_a_level_costs_one_statement_per_relation_here_too(world):
    await world.add(people, {"id": key(7), "name": "Ada"})
    await world.add(books, *(book(number, author_id=key(7), sequel_of=key(1)) for number in range(1, 6)))
    text = "{ books { nodes { title popularity author { name } sequelOf { title } copies { nodes { localId } } } } }"
    planned = await world.run(text)
    of_plan = len(world.store.texts)
    world.store.texts.clear()
    assert await world.reference(text) == planned
    assert of_plan == 4
    assert len(world.store.texts) == 6  # it always counts: `totalCount` of two lists
    assert world.services.batches == [5, 5]


async def test_introspection(world):
    outcome = await world.run('{ __type(name: "Genre") { enumValues { name } } }')
    assert outcome == ({"__type": {"enumValues": [{"name": "SCIENCE"}, {"name": "POETRY"}]}}, [])
