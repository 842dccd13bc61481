"""Tokens of the lookups domain: what counts, what does not, and what they allow (contract lmio-watcher §3.1)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import jwt
import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from pydantic import SecretStr

from app.auth import Credentials
from app.lookup_tokens import LEEWAY, Jwks, LookupsScheme, issue, jwks_of, keys_of
from app.settings import Settings, lookups_secret
from app.wiring import assemble
from core.identity import LOOKUPS
from core.policy import ACCESS, EDIT, MEMBER, SUPERUSER
from core.secrets import Secret

SECRET = "the secret that the issuer and we share"
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
SECONDS = int(NOW.timestamp())
CLAIMS: dict[str, Any] = {
    "iss": "auth.example.com",
    "sub": "user:42",
    "iat": SECONDS,
    "exp": SECONDS + 3600,
    "resources": {"*": [], "standard": [ACCESS, EDIT], "other": []},
}
RSA = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP256R1())


def signed(claims: dict[str, Any] = CLAIMS, key: Any = SECRET, algorithm: str = "HS256", **header: Any) -> str:
    return jwt.encode(claims, key, algorithm, headers=header)


def public(key: Any, name: str, algorithm: str) -> dict[str, Any]:
    kind = jwt.algorithms.RSAAlgorithm if algorithm == "RS256" else jwt.algorithms.ECAlgorithm
    return {**kind.to_jwk(key.public_key(), as_dict=True), "kid": name, "use": "sig"}


JWKS = {"keys": [public(RSA, "r", "RS256"), public(EC, "e", "ES256"), {"kty": "oct", "k": "AAAA"}, {"kty": "?"}]}


async def found(token: str | None, scheme: LookupsScheme | None = None) -> Any:
    scheme = scheme or LookupsScheme(SECRET, clock=lambda: NOW)
    return await scheme.principal(Credentials(token), None)  # type: ignore[arg-type]  # it asks no store


async def test_a_token_says_who_may_do_what_in_which_tenant():
    principal = await found(signed())
    assert (principal.domain, principal.role, principal.email, principal.is_person) == (LOOKUPS, MEMBER, "user:42", False)
    assert principal.grants == (("other", frozenset()), ("standard", frozenset({ACCESS, EDIT})))
    assert principal.expires_at == datetime.fromtimestamp(CLAIMS["exp"], UTC)


async def test_the_same_name_of_another_issuer_is_somebody_else():
    one, same, other = [await found(signed(CLAIMS | more)) for more in ({}, {"exp": SECONDS + 5}, {"iss": "b.example.com"})]
    assert one.subject == same.subject != other.subject


@pytest.mark.parametrize(
    ("resources", "role"),
    [({"*": ["authz:superuser"]}, SUPERUSER), ({"standard": ["authz:superuser"]}, MEMBER), ({"*": [ACCESS]}, MEMBER)],
)
async def test_superusers_are_so_everywhere_or_not_at_all(resources, role):
    assert (await found(signed(CLAIMS | {"resources": resources}))).role == role


async def test_what_is_no_name_of_a_tenant_grants_nothing():
    resources = {name: [ACCESS] for name in ("a\nb", "", "a/b", "x" * 128, "fine.one-2")}
    assert (await found(signed(CLAIMS | {"resources": resources}))).grants == (("fine.one-2", frozenset({ACCESS})),)


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": SECONDS - LEEWAY},
        {"iat": SECONDS + LEEWAY + 1},
        {"nbf": SECONDS + LEEWAY + 1},
        {"exp": None},
        {"exp": "tomorrow"},
        {"exp": True},
        {"exp": 1e300},
        {"iat": None},
        {"resources": []},
        {"resources": {"standard": ACCESS}},
        {"resources": {"standard": [1]}},
        {"sub": 42},
    ],
)
async def test_claims_that_do_not_count(claims):
    given = {name: value for name, value in (CLAIMS | claims).items() if value is not None}
    try:
        token = signed(given)
    except TypeError:  # pyjwt itself refuses to write it
        token = jwt.api_jws.encode(orjson.dumps(given), SECRET, "HS256")
    assert await found(token) is None


@pytest.mark.parametrize("claims", [{"exp": SECONDS - LEEWAY + 1}, {"iat": SECONDS + LEEWAY}, {"resources": {}}, {"aud": "x"}])
async def test_claims_that_still_count(claims):
    assert await found(signed(CLAIMS | claims)) is not None


@pytest.mark.parametrize("token", [None, "", "x", "a.b.c", "a.b", signed(key=SECRET + "!"), signed()[:-4], "." * 40_000])
async def test_what_is_no_token_of_ours(token):
    assert await found(token) is None


async def test_algorithms_that_are_not_configured_are_refused():
    unsigned = jwt.encode(CLAIMS, None, algorithm="none")
    assert [
        await found(token)
        for token in (unsigned, signed(key=SECRET * 2, algorithm="HS512"), signed(key=RSA, algorithm="RS256"))
    ] == [None] * 3
    only_keys = LookupsScheme(None, Jwks(lambda: JWKS), lambda: NOW)
    assert [await found(token, only_keys) for token in (unsigned, signed())] == [None] * 2
    assert await found(signed(), LookupsScheme(clock=lambda: NOW)) is None


async def test_a_public_key_is_no_shared_secret():
    """The classical confusion: HS256 with what everybody knows."""
    scheme = LookupsScheme(None, Jwks(lambda: JWKS), lambda: NOW)
    assert await found(signed(key=JWKS["keys"][0]["n"], kid="r"), scheme) is None


@pytest.mark.parametrize(("key", "algorithm", "name"), [(RSA, "RS256", "r"), (EC, "ES256", "e"), (RSA, "RS256", None)])
async def test_keys_of_a_set_sign(key, algorithm, name):
    header = {} if name is None else {"kid": name}
    scheme = LookupsScheme(SECRET, Jwks(lambda: JWKS), lambda: NOW)
    assert (await found(signed(key=key, algorithm=algorithm, **header), scheme)).role == MEMBER
    assert await found(signed(), scheme) is not None
    assert await found(signed(key=rsa.generate_private_key(65537, 2048), algorithm="RS256", **header), scheme) is None


async def test_a_token_that_was_right_is_not_checked_again_but_for_its_time():
    now = [NOW]
    scheme = LookupsScheme(SECRET, clock=lambda: now[0])
    token = signed()
    assert await found(token, scheme) is await found(token, scheme)
    now[0] = datetime.fromtimestamp(CLAIMS["exp"] + LEEWAY, UTC)
    assert await found(token, scheme) is None


async def test_sets_are_read_again_for_unknown_keys_but_not_for_each():
    reads, seconds, shown = [0], [0.0], [{"keys": JWKS["keys"][:1]}]

    def read() -> Any:
        reads[0] += 1
        return shown[0]

    scheme = LookupsScheme(None, Jwks(read, lambda: seconds[0]), lambda: NOW)
    token = signed(key=EC, algorithm="ES256", kid="e")
    assert [await found(token, scheme) for _ in range(5)] == [None] * 5
    assert reads == [1]
    shown[0], seconds[0] = {"keys": JWKS["keys"][1:]}, Jwks.AGAIN
    old = signed(key=RSA, algorithm="RS256", kid="r")
    assert await found(old, scheme) is not None
    assert await found(token, scheme) is not None
    assert await found(old, scheme) is None
    assert reads == [2]


async def test_a_set_that_cannot_be_read_leaves_the_keys_there_are(caplog):
    seconds, broken = [0.0], [False]

    def read() -> Any:
        if broken[0]:
            raise OSError("unreachable")
        return JWKS

    scheme = LookupsScheme(None, Jwks(read, lambda: seconds[0]), lambda: NOW)
    token = signed(key=RSA, algorithm="RS256", kid="r")
    assert await found(token, scheme) is not None
    broken[0], seconds[0] = True, Jwks.EVERY
    other = signed(CLAIMS | {"sub": "other"}, RSA, "RS256", kid="r")
    assert await found(other, scheme) is not None
    assert "the keys of the lookups domain cannot be read" in caplog.text


def test_files_are_read_at_once(tmp_path):
    file = tmp_path / "keys.json"
    with pytest.raises(OSError, match="No such file"):
        jwks_of(str(file))
    file.write_text('{"keys": [{"kty": "oct", "k": "AAAA"}]}')
    with pytest.raises(ValueError, match="no JWKS with RSA or EC keys"):
        jwks_of(str(file))
    file.write_bytes(orjson.dumps(JWKS))
    assert jwks_of(str(file)).version == 0
    assert [key.key_id for key in keys_of(JWKS)] == ["r", "e"]


def test_two_schemes_do_not_share_a_secret(environment):
    shared = "s" * 40
    settings = Settings(SWITCHYARD_LOOKUPS_JWT_SECRET=shared, SWITCHYARD_OLD_SECRET_KEYS=f"{'o' * 40},{shared}")
    for given, master in ((settings, "m" * 40), (Settings(SWITCHYARD_LOOKUPS_JWT_SECRET=shared), shared)):
        with pytest.raises(ValueError, match="whoever knows it could sign in as anybody"):
            lookups_secret(given, Secret(master))
    assert lookups_secret(Settings(), Secret(shared)) is None


@pytest.mark.slow
async def test_the_server_does_not_start_with_what_is_not_right(environment, tmp_path):
    for given, reason in (
        ({"SWITCHYARD_LOOKUPS_JWKS": str(tmp_path / "nothing")}, "SWITCHYARD_LOOKUPS_JWKS"),
        ({"SWITCHYARD_SECRET_KEY": SecretStr("s" * 40), "SWITCHYARD_LOOKUPS_JWT_SECRET": "s" * 40}, "the secret key"),
    ):
        with pytest.raises(ValueError, match=reason):
            await assemble(Settings(**given))


async def test_tokens_for_development_are_tokens():
    principal = await found(issue(SECRET, "ada", {"standard": [ACCESS]}, 60, lambda: NOW))
    assert (principal.email, principal.grants) == ("ada", (("standard", frozenset({ACCESS})),))
