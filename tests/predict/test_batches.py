"""Groups stay whole in batches of a fixed composition."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cityscribe.engine.batches import ROWS, whole_groups


@given(st.lists(st.integers(0, 5), max_size=150), st.integers(1, 4))
def test_groups_are_whole_and_nothing_is_lost(groups: list[int], size: int) -> None:
    batches = whole_groups(range(len(groups)), lambda n: groups[n], size)
    asked = [n for batch in batches for n in batch]
    assert sorted(asked) == list(range(len(groups)))
    first = list(dict.fromkeys(groups))
    assert list(dict.fromkeys(groups[n] for n in asked)) == first, "groups come in the order of their first items"
    for group in first:
        members = [n for n in asked if groups[n] == group]
        assert members == sorted(members)
        inside = [batch for batch in batches if any(groups[n] == group for n in batch)]
        if len(members) <= ROWS * size:
            assert len(inside) == 1
    for batch in batches:
        assert 0 < len(batch) <= ROWS * size
        assert len({groups[n] for n in batch}) <= size
