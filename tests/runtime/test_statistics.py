from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actors.runtime.statistics import Histogram, bucket_bound, bucket_of


@given(st.integers(17, 10**13))
def test_a_bucket_bound_is_at_most_an_eighth_above_what_it_counts(nanoseconds: int) -> None:
    bound = bucket_bound(bucket_of(nanoseconds))

    assert nanoseconds <= bound <= nanoseconds * 1.125 + 1


@given(st.integers(0, 10**13))
def test_buckets_are_in_order(nanoseconds: int) -> None:
    assert bucket_of(nanoseconds) <= bucket_of(nanoseconds + 1)


def test_quantiles_come_from_the_bucket_that_holds_them() -> None:
    histogram = Histogram()
    for n in range(1, 101):
        histogram.observe(n * 1000)

    assert 50_000 <= histogram.quantile(0.5) <= 56_500
    assert 99_000 <= histogram.quantile(0.99) <= 112_000
    assert (histogram.count, histogram.total) == (100, 5_050_000)
    assert Histogram().quantile(0.5) == 0
