"""The choice among settings that are as good as the best."""

import pytest

from petctfusion.training.calibration import Choice, choose


def setting(threshold, smallest=0.0, dice=0.8, hd95=10.0):
    return Choice(threshold, smallest, dice, hd95)


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        # 0.004 better is no better: 0.5 it is.
        ([setting(0.7, dice=0.804), setting(0.5), setting(0.3)], setting(0.5)),
        # 0.02 better is better.
        ([setting(0.7, dice=0.82), setting(0.5)], setting(0.7, dice=0.82)),
        # HD95 counts: 1 mm weighs 0.01.
        ([setting(0.7, hd95=8.0), setting(0.5, hd95=10.0)], setting(0.7, hd95=8.0)),
        # Of one threshold the smallest lesion that does as well.
        ([setting(0.5, 5.0, dice=0.803), setting(0.5, 0.5), setting(0.5, 2.0)], setting(0.5, 0.5)),
        # As near on both sides: 0.4 and 0.6 are told apart by the lesion, then by what they reach.
        ([setting(0.6, dice=0.801), setting(0.4)], setting(0.6, dice=0.801)),
    ],
)
def test_of_settings_as_good_as_the_best_the_plainest_is_chosen(settings, wanted):
    assert choose(settings) == choose(reversed(settings)) == wanted
