"""Attention over shared prefixes equals the attention of each row over its own sequence."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from cityscribe.engine.attention import next_step, shared_attention
from cityscribe.engine.cache import KeyValues, SharedCache

WIDTH = 4


class Layer(nn.Module):
    layer_idx = 0


@st.composite
def plans(draw: st.DrawFn) -> tuple[int, int, list[int], list[int], list[list[tuple[int, int]]]]:
    """Key heads, queries a key head, lengths of prefixes, prefix of each row, and steps: tokens a row brings and how
    many of them stay."""
    lengths = draw(st.lists(st.integers(0, 5), min_size=1, max_size=3))
    rows = draw(st.lists(st.integers(0, len(lengths) - 1), min_size=1, max_size=4))
    counts = st.integers(1, 4).flatmap(lambda count: st.tuples(st.just(count), st.integers(1, count)))
    steps = draw(st.lists(st.lists(counts, min_size=len(rows), max_size=len(rows)), min_size=1, max_size=4))
    return draw(st.integers(1, 2)), draw(st.integers(1, 3)), lengths, rows, steps


@settings(max_examples=60)
@given(plan=plans(), seed=st.integers(0, 99))
def test_ragged_rows_that_keep_a_part_of_what_they_bring(
    plan: tuple[int, int, list[int], list[int], list[list[tuple[int, int]]]], seed: int
) -> None:
    key_heads, by, lengths, rows, steps = plan
    generator = torch.Generator().manual_seed(seed)

    def noise(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    prefixes: list[KeyValues] = [[(noise(key_heads, n, WIDTH), noise(key_heads, n, WIDTH))] for n in lengths]
    cache = SharedCache(prefixes, rows)
    past = [prefixes[number][0] for number in rows]
    alive = list(range(len(rows)))
    for number, step in enumerate(steps):
        if number == 2 and len(alive) > 1:
            alive = alive[1:]
            cache.keep(range(1, len(alive) + 1))
        counts = [step[row][0] for row in alive]
        total = sum(counts)
        query, key, value = noise(1, key_heads * by, total, WIDTH), *noise(2, 1, key_heads, total, WIDTH)
        shared = next_step(cache, counts, torch.device("cpu"))
        got, _ = shared_attention(Layer(), query, key, value, None, shared=shared)
        start = 0
        for place, row in enumerate(alive):
            own = slice(start, start + counts[place])
            start = own.stop
            keys, values = (
                torch.cat([old, new[0, :, own]], dim=1) for old, new in zip(past[row], (key, value), strict=True)
            )
            seen = torch.ones(counts[place], keys.shape[1], dtype=torch.bool).tril(keys.shape[1] - counts[place])
            expected = scaled_dot_product_attention(
                query[0, :, own], keys.repeat_interleave(by, 0), values.repeat_interleave(by, 0), seen
            )
            torch.testing.assert_close(got[0, own], expected.transpose(0, 1), atol=1e-5, rtol=1e-5)
            stays = step[row][1]
            cache.lengths[place] += stays
            kept = keys.shape[1] - counts[place] + stays
            past[row] = (keys[:, :kept], values[:, :kept])
    for place, row in enumerate(alive):
        assert torch.equal(cache.row(place)[0][0], past[row][0][:, lengths[rows[row]] :])
