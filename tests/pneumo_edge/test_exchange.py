"""Bytes through a file without a name."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pneumo_edge.exchange import Exchange


@pytest.fixture(scope="module")
def exchange() -> Iterator[Exchange]:
    with closing(Exchange.create()) as made:
        yield made


@given(messages=st.lists(st.binary(max_size=3000), min_size=1, max_size=4))
def test_the_last_message_is_what_lies_there(exchange: Exchange, messages: list[bytes]) -> None:
    for message in messages:
        exchange.put(message)
        assert exchange.take(len(message)) == message
    assert exchange.take(10_000) == messages[-1]


def test_an_array_is_put_row_by_row(exchange: Exchange) -> None:
    pixels = np.arange(600, dtype=np.uint16).reshape(20, 30)
    exchange.put(pixels)
    assert exchange.take(1200) == pixels.tobytes()
    assert exchange.take(4) == pixels.tobytes()[:4]


def test_the_other_end_may_cut_it_short(exchange: Exchange) -> None:
    exchange.put(b"x" * 9000)
    os.ftruncate(exchange.descriptor, 5)
    assert exchange.take(9000) == b"xxxxx"
