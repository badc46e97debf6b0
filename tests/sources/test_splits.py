"""Which samples are for what, and a part of them."""

from __future__ import annotations

from cityscribe.sources.splits import part_of


def test_a_smaller_part_lies_in_a_larger_one() -> None:
    names = [f"s{n % 20}" for n in range(60)]
    parts = {share: part_of(names, str, share, seed=3) for share in (0.01, 0.25, 0.5, 1.0)}
    assert {share: len(set(kept)) for share, kept in parts.items()} == {0.01: 1, 0.25: 5, 0.5: 10, 1.0: 20}
    assert set(parts[0.01]) < set(parts[0.25]) < set(parts[0.5])
    assert parts[0.5] == [name for name in names if name in set(parts[0.5])]
    assert set(part_of(names, str, 0.5, seed=4)) != set(parts[0.5])
