"""Names on the wire: `@key`, then the alias, then the dialect's spelling."""

import pytest
from graphql import parse, print_ast

from rest_compat.directives import Vocabulary
from rest_compat.wire_names import snake_case, with_wire_keys


@pytest.mark.parametrize(
    ("name", "spelled"),
    [
        ("cifsHost", "cifs_host"),
        ("id", "id"),
        ("s3Bucket", "s3_bucket"),
        ("metadata_", "metadata_"),
        ("__typename", "__typename"),
    ],
)
def test_snake_case(name, spelled):
    assert snake_case(name) == spelled


@pytest.mark.parametrize(
    ("field", "snake", "key"),
    [
        ("cifsHost", True, "cifs_host: cifsHost"),
        ("cifsHost", False, "cifsHost"),
        ("theHost: cifsHost", True, "theHost: cifsHost"),
        ('theHost: cifsHost @key(name: "cifs-host")', True, "cifs-host: cifsHost"),
        ("__typename", True, "__typename"),
    ],
)
def test_keys(field, snake, key):
    document = with_wire_keys(parse(f"{{ {field} }}"), Vocabulary(["ONE"]), snake=snake)
    assert print_ast(document).split("\n")[1].partition(" @")[0].strip() == key
