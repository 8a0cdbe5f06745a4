"""Published and derived numbers of broken replica symmetry, to the digits shown: half a unit of the last one."""

import json
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

import mattis as mt

NUMBERS = json.loads((Path(__file__).parent / "rsb_numbers.json").read_text())


def agrees(value, shown, spare=2e-12):
    """Compare with half a unit of the last digit shown."""
    half = 0.5 * 10.0 ** Decimal(shown).as_tuple().exponent
    assert abs(float(value) - float(shown)) <= half + spare, f"{float(value)!r} against {shown}"


def test_capacity_of_the_hopfield_network():
    want = NUMBERS["hopfield_capacity"]["values"]
    end = mt.spinodal(mt.Hopfield, T=0.0, k=1)
    agrees(end.alpha, want["alpha"])
    agrees(end.m, want["m"])
    agrees(end.q[0], want["q0"])
    assert abs(end.stability) < 1e-6


def test_retrieval_past_the_replica_symmetric_capacity():
    want = NUMBERS["hopfield_retrieval"]
    state = mt.rsb(mt.Hopfield(alpha=float(want["alpha"]), T=0.0))
    agrees(state.m, "0.9700000")
    agrees(state.q[0], want["q0"])
    agrees(state.x[0], want["y"])
    assert state.x_low[0] < state.x[0] < state.x_high[0]
    assert state.certified


@pytest.mark.parametrize("row", NUMBERS["hopfield_glass_cold"]["rows"], ids=lambda row: f"alpha={row[0]}")
def test_glass_of_the_hopfield_network_at_zero_temperature(row):
    alpha, e, q0, C, y = row
    state = mt.rsb(mt.Hopfield(alpha=float(alpha), T=0.0), start="spin_glass")
    for value, shown in ((state.free_energy, e), (state.energy, e), (state.q[0], q0), (state.C, C), (state.x[0], y)):
        agrees(value, shown)


def test_largest_norm_of_a_random_matrix_on_spins():
    two = mt.rsb(mt.Hopfield(alpha=1.0, T=0.0), start="spin_glass", k=2)
    agrees(np.sqrt(2 * (abs(two.free_energy) + 0.5)), NUMBERS["hopfield_glass_cold"]["norm_two_steps"])


@pytest.mark.parametrize("row", NUMBERS["hopfield_glass"]["rows"], ids=lambda row: f"alpha={row[0]}")
def test_glass_of_the_hopfield_network(row):
    alpha, T, *shown = row
    state = mt.rsb(mt.Hopfield(alpha=float(alpha), T=float(T)), start="spin_glass")
    for value, digits in zip((*state.q, *state.x, state.free_energy), shown, strict=True):
        agrees(value, digits)


def test_ground_state_of_sherrington_and_kirkpatrick():
    want = NUMBERS["sk_cold"]
    cold = mt.SherringtonKirkpatrick(T=0.0)
    one = mt.rsb(cold)
    for value, shown in zip((one.free_energy, one.q[0], one.x[0]), want["one"], strict=True):
        agrees(value, shown)
    steps = [mt.rsb(cold, k=k).free_energy for k in range(2, 6)]
    assert (np.diff([one.free_energy, *steps, float(want["full"])]) > 0).all()
    agrees(steps[-1], want["five"])
    full = mt.rsb(cold, k="full")
    agrees(full.free_energy, want["full"])
    assert abs(full.free_energy - float(want["full"])) < full.free_energy_error < 1e-6


def test_sherrington_and_kirkpatrick_at_half_the_critical_temperature():
    want = NUMBERS["sk"]
    state = mt.rsb(mt.SherringtonKirkpatrick(T=0.5))
    for value, shown in zip((*state.q, *state.x, state.free_energy), (*want["q"], want["x"], want["f"]), strict=True):
        agrees(value, shown)


@pytest.mark.parametrize("row", NUMBERS["pspin"]["rows"], ids=lambda row: f"p={row[0]}")
def test_temperatures_of_the_p_spin_glass(row):
    p, T_d, T_s, T_G, x_G, e, y = row
    found = mt.PSpin(p=int(p), T=0.0).glass_temperatures()
    agrees(found.dynamic, T_d)
    agrees(found.static, T_s)
    line = mt.at_line(mt.PSpin, of="spin_glass", k=1, p=int(p))
    agrees(line.T, T_G)
    agrees(line.x[0], x_G)
    assert abs(line.replicon[1]) < 1e-10
    cold = mt.rsb(mt.PSpin(p=int(p), T=0.0))
    agrees(cold.energy, e)
    agrees(cold.x[0], y)


@pytest.mark.parametrize("row", NUMBERS["pspin_points"]["rows"], ids=lambda row: f"p={row[0]}")
def test_points_of_the_p_spin_glass(row):
    p, T, *shown = row
    state = mt.rsb(mt.PSpin(p=int(p), T=float(T)))
    for value, digits in zip((state.x[0], state.q[1], state.free_energy), shown, strict=True):
        agrees(value, digits)


@pytest.mark.parametrize("row", NUMBERS["first_order"]["rows"], ids=lambda row: f"P={row[0]} T={row[1]}")
def test_first_order_line_against_the_glass(row):
    P, T, gamma = row
    pair = {"between": ("retrieval", "spin_glass"), "along": "gamma"}
    line = mt.transition(mt.DenseHebbian, P=int(P), T=float(T), **pair)
    agrees(line.gamma, gamma)
    assert str(line.ansatz) == "retrieval replica symmetric, spin glass of 1 step of broken replica symmetry"
    assert float(T) < mt.DenseHebbian(P=int(P), gamma=line.gamma, T=float(T)).glass_temperatures().static


def test_capacity_of_the_dense_network():
    want = NUMBERS["dense_capacity"]
    end = mt.spinodal(mt.DenseHebbian, along="gamma", k=1, P=3, T=0.0)
    for value, name in ((end.gamma, "gamma"), (end.m, "m"), (end.q[0], "q0"), (end.x[0], "y")):
        agrees(value, want[name])


def test_retrieval_of_the_dense_network():
    want = NUMBERS["dense_retrieval"]
    state = mt.rsb(mt.DenseHebbian(P=4, T=0.1, gamma=0.42))
    shown = (want["m"], *want["q"], want["x"], want["f"])
    for value, digits in zip((state.m, *state.q, *state.x, state.free_energy), shown, strict=True):
        agrees(value, digits)
