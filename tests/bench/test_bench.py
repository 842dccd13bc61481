"""The benchmark runs, everybody in it answers the same, and what misses a target is said."""

import subprocess
import sys
from dataclasses import replace

import pytest

from bench.lists import ADMIN, ADMIN_AGAIN, GRANTED, PAGES
from bench.lookups import Figures as LookupFigures
from bench.lookups import Sent
from bench.measure import Costs, Ratio
from bench.subscriptions import Figures
from bench.targets import Verdict
from bench.variants import AGAIN, FASTAPI, FILES, GRAPHQL, HAND, ONE, REMEMBERED, REST, STRAWBERRY, meaning
from tests.servers import environment

SMALL = """
import asyncio, logging
from bench.__main__ import Size, main
logging.disable(logging.INFO)
MORE = {{"list_rounds": 2, "listed": 550, "idle": 200, "subscribers": 5, "events": 2, "uploaded": 100, "items": 2500}}
asyncio.run(main(Size(rounds=2, files=130, streamed=550, streams=1, harvested=4, known=20, **MORE), ["{database}"]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_a_small_run(database):
    if database == "postgresql":
        environment("postgres")
    environment("elasticsearch")
    run = subprocess.run([sys.executable, "-c", SMALL.format(database=database)], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, "")
    titles = [line.partition("; memory")[0] for line in run.stdout.splitlines() if line and not line.startswith("|")]
    assert titles == [
        f"100 files, {database}",
        f"one instrument, {database}",
        f"100 files with instrument and last 3 transfers, {database}",
        f"100 files, for a user who sees half of them, {database}",
        f"100 files with instrument and last 3 transfers, {database}: 3 statements",
        f"list pages, {database}",
        f"100 of 550 files, {database}",
        f"GET /api/files, 550 rows, {database}",
        "harvest of 4 small local files",
        "harvest of 20 files, of which all are known",
        f"subscriptions, {database}",
        f"lookups, {database}",
        "upload to a lookup, Elasticsearch",
    ]
    assert "| 200 idle |" in run.stdout
    assert "| upload of 100 rows, CPU |" in run.stdout
    for page in PAGES:
        assert f"| {page.path} |" in run.stdout
    for name in (HAND, REST, GRAPHQL, FASTAPI, STRAWBERRY):
        assert f"| {name} |" in run.stdout


def costs(**times: float) -> Costs:
    """Of three rounds, the second of which was noisy for everybody."""
    names = {"hand": HAND, "again": AGAIN, "remembered": REMEMBERED, "rest": REST, "fastapi": FASTAPI, "strawberry": STRAWBERRY}
    own = {names[name]: [time, 2 * time, time] for name, time in times.items()}
    return Costs(own, {name: [0.0] * 3 for name in own})


def test_what_is_met(capsys):
    verdict = Verdict()
    verdict.costs("list", FILES, costs(hand=1, again=1, remembered=0.9, rest=1.5, fastapi=5.25, strawberry=12))
    verdict.statements("nested", 3)
    assert verdict.conclude() == 0
    assert capsys.readouterr().out.endswith("\nEvery target is met.\n")


def test_list_pages_and_grants(capsys):
    verdict = Verdict()
    verdict.lists("pages", {"/api/a": costs(hand=1, again=1, rest=1.5), "/api/b": costs(hand=1, again=1, rest=1.7)})
    for user in (1.5, 1.6):
        own = {ADMIN: [1.0, 2.0, 1.0], ADMIN_AGAIN: [1.0, 2.0, 1.0], GRANTED: [user, 2 * user, user]}
        verdict.grants("grants", Costs(own, {name: [1.0, 2.0, 1.0] for name in own}))
    verdict.grants("grants", Costs(own | {GRANTED: [2.1, 4.2, 2.1]}, {name: [1.0, 2.0, 1.0] for name in own}))
    assert verdict.conclude() == 1
    missed = capsys.readouterr().out.partition("Missed:\n")[2].splitlines()
    assert missed == [
        "- pages: /api/b ÷ hand-written is 1.70, at most 1.5 was wanted",
        f"- grants: {GRANTED} ÷ {ADMIN} is 1.55, at most 1.5 was wanted",
    ]


def test_what_is_missed(capsys):
    verdict = Verdict()
    verdict.costs("list", FILES, costs(hand=1, again=1, remembered=0.9, rest=1.6, fastapi=5, strawberry=12))
    verdict.statements("nested", 4)
    assert verdict.conclude() == 1
    missed = capsys.readouterr().out.partition("Missed:\n")[2].splitlines()
    assert missed == [
        "- list: Switchyard REST ÷ hand-written is 1.60, at most 1.5 was wanted",
        "- list: FastAPI + ORM + pydantic ÷ Switchyard REST is 3.12, at least 3.5 was wanted",
        "- list: Strawberry + ORM ÷ Switchyard REST is 7.50, at least 8 was wanted",
        "- nested: 4 statements instead of 3",
    ]


def test_lookups(capsys):
    verdict = Verdict()
    met = LookupFigures(100, 1.0, 30.0, 149, 200, 0.01, 0.1, 0.02, 0.08, 0.02, 0.01, 1.0, 30, 20)
    verdict.lookups("met", met)
    assert verdict.missed == []
    verdict.lookups("missed", replace(met, upload=31.0, upload_growth=151, scanned=0.09, page=0.021, export_growth=21))
    assert verdict.missed == [
        "missed: upload ÷ csv.DictReader is 31.00, at most 30 was wanted",
        "missed: growth of an upload in MB is 151.00, at most 150 was wanted",
        "missed: scan ÷ selective filter is 9.00, at least 10 was wanted",
        "missed: page ÷ by hand is 2.10, at most 2 was wanted",
        "missed: growth of an export in MB is 21.00, at most 20 was wanted",
    ]
    assert "| upload of 100 rows, CPU | 30.00 s | 30.0 times csv.DictReader |" in capsys.readouterr().out


def test_what_is_sent(capsys):
    verdict = Verdict()
    verdict.sent("met", Sent(100, 3.0, 2.0))
    assert verdict.missed == []
    verdict.sent("missed", Sent(100, 3.2, 2.0))
    assert verdict.missed == ["missed: wall ÷ script is 1.60, at most 1.5 was wanted"]
    assert "| Switchyard upload | 3.00 | 1.50 |" in capsys.readouterr().out


def test_subscriptions(capsys):
    verdict = Verdict()
    verdict.subscriptions("met", Figures(1000, 500, 99_000_000, 0.003, 0.001))
    assert verdict.missed == []
    verdict.subscriptions("missed", Figures(1000, 500, 101_000_000, 0.0031, 0.001))
    assert verdict.missed == [
        "missed: KB of an idle one is 101.00, at most 100 was wanted",
        "missed: an event ÷ bare loop is 3.10, at most 3 was wanted",
    ]
    assert "| 1,000 idle | 99.0 MB | 99.0 KB each |" in capsys.readouterr().out


def test_noise_is_no_miss():
    verdict = Verdict()
    verdict.costs("one", ONE, costs(hand=1, again=1.2, remembered=0.9, rest=1.7, fastapi=5, strawberry=9))
    assert verdict.missed == []


def test_ratios_are_taken_round_by_round():
    assert Ratio.of([2, 40, 3], [1, 10, 1]) == Ratio(3, 2, 4)


def test_answers_are_compared_by_what_they_mean():
    theirs = b'{"data": {"files": {"totalCount": 1, "nodes": [{"kind": "ARK", "at": "2026-01-01T00:00:01+00:00", "n": 1.0}]}}}'
    assert meaning(theirs) == meaning(b'[{"kind":"ark","at":"2026-01-01T00:00:01Z","n":1}]')
