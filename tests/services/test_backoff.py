from itertools import islice

from services.backoff import pauses


def test_pauses_double_up_to_the_longest() -> None:
    assert list(islice(pauses(0.1, 0.5), 5)) == [0.1, 0.2, 0.4, 0.5, 0.5]


def test_jitter_spreads_them_around_the_same_pause() -> None:
    firsts = [next(pauses(1.0, 8.0, jitter=0.5)) for _ in range(200)]
    assert 0.5 <= min(firsts) < 0.8 and 1.2 < max(firsts) <= 1.5
    thirds = [list(islice(pauses(1.0, 8.0, jitter=0.5), 3))[2] for _ in range(200)]
    assert min(thirds) >= 2.0 and max(thirds) <= 6.0
