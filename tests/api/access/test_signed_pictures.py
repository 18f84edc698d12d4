"""A signed URL opens one picture until its time is over, and nothing else."""

import pytest

from api.access.signed_pictures import SignedPictures

NOW = 1_800_000_007.0
VALUES = {"catalog": "shoes", "product_id": "a/b", "v": "0" * 64}


def signer(now: float = NOW, secret: bytes = b"s" * 64) -> SignedPictures:
    return SignedPictures(secret, lambda: now)


@pytest.mark.parametrize("seconds", [60, 3600, 604_800])
def test_a_url_is_good_for_the_time_asked_for_and_for_twice_as_long_at_most(seconds: int) -> None:
    start = (int(NOW) // seconds) * seconds
    urls = []
    for within in (0, 1, seconds // 2, seconds - 1):
        signed = signer(start + within).signed("image", VALUES, seconds)
        left = signer(start + within).seconds_left("image", signed)
        assert left is not None and seconds < left <= 2 * seconds
        urls.append(signed)
    # Caches know a URL again within a window.
    assert all(each == urls[0] for each in urls)
    assert signer(start + seconds).signed("image", VALUES, seconds) != urls[0]
    ends = int(urls[0]["expires"])
    assert signer(ends - 1).seconds_left("image", urls[0]) == 1
    assert signer(ends).seconds_left("image", urls[0]) is None


def test_what_is_changed_opens_nothing() -> None:
    signed = signer().signed("image", VALUES, 3600)
    assert signer().seconds_left("image", signed)
    assert signer().seconds_left("thumbnail", signed) is None
    assert signer(secret=b"t" * 64).seconds_left("image", signed) is None
    for name, value in signed.items():
        for other in (value[:-1], f"{value}0", value[:-1] + ("1" if value[-1] == "0" else "0"), "", "é"):
            assert signer().seconds_left("image", signed | {name: other}) is None, (name, other)
        assert signer().seconds_left("image", {each: signed[each] for each in signed if each != name}) is None, name
    assert signer().seconds_left("image", signed | {"size": "320"}) is None
