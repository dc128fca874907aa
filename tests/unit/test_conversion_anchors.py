"""Anchors: ours against MXNet's MultiBoxPrior, to the last bit."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edgetally.conversion.network.anchors import multibox_prior
from edgetally.mxnet_compat import import_mxnet

mx = import_mxnet()
sides = st.integers(1, 9)
sizes = st.lists(st.floats(0.01, 2.0), min_size=1, max_size=3)
ratios = st.lists(st.floats(0.1, 8.0), min_size=1, max_size=4)
steps = st.one_of(st.just((-1.0, -1.0)), st.tuples(st.floats(0.01, 1.0), st.floats(0.01, 1.0)))
offsets = st.tuples(st.floats(0.0, 1.0), st.floats(0.0, 1.0))


@settings(deadline=None, max_examples=100)
@given(
    height=sides,
    width=sides,
    sizes=sizes,
    ratios=ratios,
    steps=steps,
    offsets=offsets,
    clip=st.booleans(),
)
def test_anchors_are_those_of_mxnet(
    height: int,
    width: int,
    sizes: list[float],
    ratios: list[float],
    steps: tuple[float, float],
    offsets: tuple[float, float],
    clip: bool,
) -> None:
    wanted = mx.nd.contrib.MultiBoxPrior(
        mx.nd.zeros((1, 1, height, width)),
        sizes=tuple(sizes),
        ratios=tuple(ratios),
        steps=steps,
        offsets=offsets,
        clip=clip,
    ).asnumpy()[0]
    found = multibox_prior(
        height, width, sizes=sizes, ratios=ratios, steps=steps, offsets=offsets, clip=clip
    )
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, wanted)
