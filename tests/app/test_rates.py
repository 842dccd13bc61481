"""How often somebody may ask: whom a bucket belongs to, when it is empty, what replies say of it."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from app.rates import OPERATIONS, WINDOW, Rates
from core.errors import RateLimited
from core.identity import ANONYMOUS, INSTRUMENTS, Principal, Principals
from core.vocabulary import Access
from tests.app.test_personal_tokens import made

HOME, ELSEWHERE = "192.0.2.1", "192.0.2.2"
ADA, BOB = UUID(int=1), UUID(int=2)


class Seconds:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Seconds:
    return Seconds()


def signed_in(subject: UUID, credential: str = "session") -> Principals:
    return Principals([Principal(INSTRUMENTS, subject, "user", credential=credential)])


def by_token(subject: UUID, credential: str) -> Principals:
    return Principals([Principal(INSTRUMENTS, subject, "user", credential=credential, access=Access.READ)])


def count(rates: Rates, principals: Principals = ANONYMOUS, address: str = HOME, **scope: int) -> dict[str, str]:
    """What the reply says; with `refused` if there is no other."""
    given = {OPERATIONS: scope["operations"]} if scope else {}
    refusal = {}
    try:
        rates.count(given, principals, address)
    except RateLimited as error:
        refusal = {"refused": error.detail}
    return {name.decode(): value.decode() for name, value in given.get("switchyard.rate", [])} | refusal


# --- buckets -----------------------------------------------------------------------------------------------------------


def test_a_full_bucket_is_emptied_and_fills_again(clock):
    rates = Rates(0, 6, clock=clock)
    policy = {"ratelimit-policy": '"address";q=6;w=60'}
    for left in (5, 4, 3, 2, 1, 0):
        assert count(rates) == policy | {"ratelimit": f'"address";r={left};t={(6 - left) * 10}'}

    refusal = {"ratelimit": '"address";r=0;t=10', "retry-after": "10"}
    message = {"refused": "Too many requests: at most 6 per minute; try again in 10 seconds"}
    assert count(rates) == policy | refusal | message
    clock.now += 9.5
    assert count(rates)["retry-after"] == "1"
    clock.now += 0.5
    assert count(rates) == policy | {"ratelimit": '"address";r=0;t=60'}
    clock.now += WINDOW
    assert count(rates) == policy | {"ratelimit": '"address";r=5;t=10'}


def test_what_is_refused_prolongs_nothing(clock):
    rates = Rates(0, 1, clock=clock)
    count(rates)
    for _ in range(1000):
        assert count(rates)["retry-after"] == "60"
    clock.now += WINDOW
    assert "refused" not in count(rates)


@pytest.mark.slow
def test_exactly_as_many_as_there_may_be(clock):
    """However the numbers round."""
    for most in (1, 7, 59, 1200, 99_991):
        rates = Rates(0, most, clock=clock)
        assert all("refused" not in count(rates) for _ in range(most))
        assert count(rates)["ratelimit"].startswith('"address";r=0;')
        assert "refused" in count(rates)


def test_whose_bucket_it_is(clock):
    rates = Rates(1, 1, clock=clock)
    callers = [
        (signed_in(ADA), HOME),
        (signed_in(BOB), HOME),
        (by_token(ADA, "one"), HOME),
        (by_token(ADA, "other"), HOME),
        (ANONYMOUS, HOME),
        (ANONYMOUS, ELSEWHERE),
        (ANONYMOUS, "2001:db8:0:1::1"),
        (ANONYMOUS, "2001:db8:0:2::1"),
    ]
    assert all("refused" not in count(rates, *caller) for caller in callers)
    same = [
        (signed_in(ADA, "another session"), ELSEWHERE),
        (by_token(ADA, "one"), ELSEWHERE),
        (ANONYMOUS, "::ffff:192.0.2.1"),
        (ANONYMOUS, "2001:db8:0:1:2::2"),
    ]
    assert all("refused" in count(rates, *caller) for caller in same)


def test_no_bound(clock):
    rates = Rates(0, 0, clock=clock)
    for principals in (ANONYMOUS, signed_in(ADA)):
        assert [count(rates, principals) for _ in range(3)] == [{}] * 3
    assert count(Rates(0, 5), ANONYMOUS) != {}
    assert count(Rates(5, 0), ANONYMOUS) == {}


def test_each_operation_of_a_batch_counts(clock):
    rates = Rates(0, 10, clock=clock)
    assert count(rates, operations=8)["ratelimit"] == '"address";r=2;t=48'
    assert count(rates, operations=3)["retry-after"] == "6"
    assert count(rates, operations=2)["ratelimit"] == '"address";r=0;t=60'
    clock.now += WINDOW
    assert count(rates, operations=50)["ratelimit"] == '"address";r=0;t=60', "what could never pass takes a whole bucket"


def test_there_is_a_most_of_buckets(clock):
    rates = Rates(0, 1, buckets=100, clock=clock)
    for number in range(100):
        count(rates, address=f"host {number}")
    assert "refused" in count(rates, address="host 0")
    count(rates, address="one more")
    assert len(rates._buckets) == 100
    assert "refused" not in count(rates, address="host 0"), "whoever was longest away begins anew"
    assert "refused" in count(rates, address="host 99")


# --- over HTTP ---------------------------------------------------------------------------------------------------------


def told(reply) -> dict[str, str]:
    return {name: reply.headers[name] for name in ("ratelimit-policy", "ratelimit", "retry-after") if name in reply.headers}


async def test_replies_say_what_is_left(assembled):
    async with assembled(SWITCHYARD_RATE="3", SWITCHYARD_RATE_PER_ADDRESS="2") as world:
        for path, left in (("/users/me", 2), ("/api/nothing-here", None), ("/api/service-accounts", 1), ("/api/files", 0)):
            reply = await world.user.request("GET", path)
            expected = {
                "ratelimit-policy": '"principal";q=3;w=60',
                "ratelimit": f'"principal";r={left};t={(3 - (left or 0)) * 20}',
            }
            assert told(reply) == ({} if left is None else expected), path

        refused = {"ratelimit-policy": '"principal";q=3;w=60', "ratelimit": '"principal";r=0;t=20', "retry-after": "20"}
        detail = "Too many requests: at most 3 per minute; try again in 20 seconds"
        reply = await world.user.request("GET", "/users/me")
        assert (reply.status_code, reply.json(), told(reply)) == (429, {"detail": detail}, refused)
        for accept in ("application/json", "application/graphql-response+json"):
            reply = await world.user.request("POST", "/graphql", json={"query": "{ me { email } }"}, headers={"accept": accept})
            error = {"message": detail, "extensions": {"code": "RATE_LIMITED"}}
            assert (reply.status_code, reply.json(), told(reply)) == (429, {"errors": [error]}, refused)

        assert (await world.admin.request("GET", "/users/me")).status_code == 200, "somebody else"
        statuses = [(await world.anonymous.request("GET", "/users/me")).status_code for _ in range(3)]
        assert statuses == [401, 401, 429]
        assert [(await world.anonymous.request("GET", "/health")).status_code for _ in range(3)] == [200] * 3


async def test_a_token_does_not_keep_its_owner_out(assembled):
    async with assembled(SWITCHYARD_RATE="5") as world:
        holder, _ = await made(world.user, "INSTRUMENTS_READ")
        statuses = [(await holder.request("GET", "/users/me")).status_code for _ in range(6)]
        assert statuses == [200] * 5 + [429]
        assert (await world.user.request("GET", "/users/me")).status_code == 200


async def test_guessed_tokens_count_for_the_address(assembled):
    async with assembled(SWITCHYARD_RATE_PER_ADDRESS="2") as world:
        statuses = [
            (await world.anonymous.request("GET", "/users/me", headers={"Authorization": f"Bearer swy_{uuid4()}"})).status_code
            for _ in range(3)
        ]
        assert statuses == [401, 401, 429]


async def test_pages_of_listed_origins_can_read_it(assembled):
    async with assembled(SWITCHYARD_CORS_ORIGINS="https://example.org") as world:
        reply = await world.user.request("GET", "/users/me", headers={"origin": "https://example.org"})
        assert {"RateLimit", "RateLimit-Policy", "Retry-After"} <= set(
            reply.headers["access-control-expose-headers"].split(", ")
        )
