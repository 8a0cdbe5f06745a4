"""Philox4x32-10 against the known answers of Random123, and the counter layout in both implementations."""

import numpy as np
import pytest

from mattis.core.philox import STREAMS, fill_words, key, lane, philox, words

KNOWN = [  # counter, key, answer: kat_vectors of Random123 (Salmon et al., SC'11)
    ([0] * 4, [0] * 2, [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
    ([0xFFFFFFFF] * 4, [0xFFFFFFFF] * 2, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
    (
        [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
        [0xA4093822, 0x299F31D0],
        [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
    ),
]


@pytest.mark.parametrize(("counter", "seed", "answer"), KNOWN)
def test_known_answers(counter, seed, answer):
    assert [int(w) for w in philox(*map(np.uint64, counter), *map(np.uint64, seed))] == answer


def test_the_layout_puts_every_part_in_its_place():
    seed, stream, row, at, sample = 0x299F31D0A4093822, 5, 0x85A308D3, 0x13198A2E, 0x707344
    got = words(seed, stream, 11, row=row, lane=at, sample=sample)
    for index in range(11):
        block = philox(*map(np.uint64, (index >> 2, row, at, 5 << 24 | sample, 0xA4093822, 0x299F31D0)))
        assert got[index] == block[index & 3]


def test_known_answer_through_the_layout():
    assert words(0, STREAMS["acceptance"], 4).tolist() == KNOWN[0][2]


@pytest.mark.parametrize("count", [1, 4, 7, 30, 1001])
def test_twins(count):
    for seed, stream, row, at, sample in [(1, 0, 3, 5 << 20 | 9, 2), (2**64 - 1, 31, 2**32 - 1, 2**32 - 1, 2**24 - 1)]:
        out = np.empty((4, (count + 3) // 4), np.uint32)
        fill_words(out, *key(seed), stream, row, at, sample)
        expected = words(seed, stream, count, row=row, lane=at, sample=sample)
        assert np.array_equal(out.T.ravel()[:count], expected)


def test_parts_broadcast():
    many = words(3, 1, 6, row=np.arange(2)[:, None], lane=np.arange(5), sample=7)
    assert many.shape == (2, 5, 6)
    assert np.array_equal(many[1, 4], words(3, 1, 6, row=1, lane=4, sample=7))


def test_limits_are_errors():
    for part in ({"row": 2**32}, {"lane": 2**32}, {"sample": 2**24}, {"row": -1}, {"lane": -1}, {"sample": -1}):
        with pytest.raises(ValueError, match=f"{next(iter(part))} must be in"):
            words(1, 0, 4, **part)
    for arguments in ((2**64, 0, 4), (-1, 0, 4), (1, 2**8, 4), (1, 0, 2**31 + 1)):
        with pytest.raises(ValueError, match="must be"):
            words(*arguments)
    for temperature, chain in ((2**12, 0), (0, 2**20), (-1, 0)):
        with pytest.raises(ValueError, match="index must be in"):
            lane(temperature, chain)
    with pytest.raises(TypeError):
        key(1.5)


def test_streams_do_not_collide():
    assert len(set(STREAMS.values())) == len(STREAMS)
    assert STREAMS == {"acceptance": 0, "swap": 1, "start": 2, "patterns": 3, "examples": 4, "order": 5}
