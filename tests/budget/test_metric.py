import math

import pytest

from edgesft.budget import metric


def test_a_share_is_told_in_percent_and_its_change_in_points():
    of = metric.scale("accuracy")
    assert (of.told(0.872), of.change(-0.006)) == ("87.2 %", "-0.6 points")


def test_decibels_are_told_as_they_are():
    of = metric.scale("si_sdr")
    assert (of.told(9.314), of.change(-0.25)) == ("9.31 dB", "-0.25 dB")


def test_what_rounds_to_nothing_has_no_minus():
    assert metric.scale("f1").signed(-0.0001) == "+0.0"


def test_the_metric_of_one_of_several_jobs_has_the_scale_of_its_last_part():
    assert metric.scale("noise.si_sdr") is metric.DECIBELS


@pytest.mark.parametrize(
    ("key", "name", "limit", "wrong"),
    [
        ("max_drop", "accuracy", 0.01, None),
        ("max_drop", "accuracy", 1.5, "must be from 0 to 1, got 1.5"),
        ("max_drop", "si_sdr", 3.0, None),
        ("max_drop", "si_sdr", -0.1, "must be at least 0, got -0.1"),
        ("min_metric", "si_sdr", -4.0, None),
        ("min_metric", "accuracy", -0.1, "must be from 0 to 1, got -0.1"),
        ("min_metric", "log_likelihood", 0.5, "must be at most 0, got 0.5"),
        ("min_metric", "accuracy", math.nan, "must be from 0 to 1, got nan"),
    ],
)
def test_limits_lie_where_the_metric_can(key, name, limit, wrong):
    assert metric.impossible(key, name, limit) == wrong


def test_what_is_no_number_is_worse_than_any():
    assert metric.fall(0.9, 0.7) == pytest.approx(0.2)
    assert metric.fall(0.9, math.nan) == metric.fall(-40.0, -math.inf) == math.inf
    assert metric.fall(math.nan, 0.1) == -math.inf
    assert metric.fall(math.nan, math.nan) == 0
