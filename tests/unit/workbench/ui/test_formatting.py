from datetime import UTC, datetime, timedelta

import pytest

from workbench.ui.shared.formatting import ago, duration, moment, number, percent, plural, said, size


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, ""),
        (0.05, "0.05 s"),
        (2.84, "2.8 s"),
        (9.97, "10 s"),
        (47.2, "47 s"),
        (59.7, "1 min 0 s"),
        (3725, "1 h 2 min"),
        (-1, "0.00 s"),
    ],
)
def test_durations(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("before", "text"),
    [
        (timedelta(seconds=3), "just now"),
        (timedelta(minutes=1), "1 minute ago"),
        (timedelta(minutes=5), "5 minutes ago"),
        (timedelta(hours=2), "2 hours ago"),
        (timedelta(hours=26), "yesterday"),
        (timedelta(days=3), "3 days ago"),
        (timedelta(days=40), "10 February 2026"),
    ],
)
def test_how_long_ago(before: timedelta, text: str) -> None:
    at = datetime(2026, 3, 22, 12, 0, tzinfo=UTC)
    assert ago(at - before, at) == text


def test_naive_times_are_utc() -> None:
    assert 'datetime="2026-03-22T12:00:00+00:00"' in moment(datetime(2026, 3, 22, 12, 0))


def test_numbers_have_a_real_minus_and_thousands_apart() -> None:
    assert number(-1234.56) == "−1\u202f234.6"
    assert percent(-0.04) == "0.0 %"
    assert percent(-7.25) == "−7.2 %"


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (999, "999 B"), (1200, "1.2 kB"), (340_000, "340 kB"), (999_600, "1.0 MB"), (24_300_000, "24 MB")]
)
def test_sizes(count: int, text: str) -> None:
    assert size(count) == text


def test_one_and_many() -> None:
    assert (plural(1, "document"), plural(0, "chunk"), plural(3400, "chunk")) == ("1 document", "0 chunks", "3\u202f400 chunks")


def test_a_number_stays_with_its_unit_and_html_is_escaped() -> None:
    assert said("9.2 ml & 3 mm <b>") == "9.2\u00a0ml &amp; 3\u00a0mm &lt;b&gt;"
    assert said("5 mlx") == "5 mlx"
