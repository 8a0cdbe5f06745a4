"""Published and derived numbers, to the digits shown: half a unit of the last one and the solver's 1e-12."""

import json
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import erf

import mattis as mt

NUMBERS = json.loads((Path(__file__).parent / "spec_numbers.json").read_text())


def agrees(value, shown, spare=2e-12):
    """Compare with half a unit of the last digit shown."""
    half = 0.5 * 10.0 ** Decimal(shown).as_tuple().exponent
    assert abs(float(value) - float(shown)) <= half + spare, f"{float(value)!r} against {shown}"


def test_critical_point_at_zero_temperature():
    """alpha_c, m_c, y_c; y_c is the root of d alpha/dy: erf(y)/y has slope -(2/sqrt pi) e^{-y^2} 2y there."""
    want = NUMBERS["zero_temperature"]

    def slope(y):  # of erf(y)/y - (2/sqrt pi) e^{-y^2}
        bell = 2 / np.sqrt(np.pi) * np.exp(-y * y)
        return bell / y - erf(y) / y**2 + 2 * y * bell

    y = brentq(slope, 1.2, 2.0, xtol=1e-15, rtol=4e-15)
    agrees(y, want["y_c"])
    agrees(erf(y), want["m_c"])
    agrees(0.5 * (erf(y) / y - 2 / np.sqrt(np.pi) * np.exp(-y * y)) ** 2, want["alpha_c"])
    fold = mt.spinodal(mt.Hopfield, T=0.0)
    agrees(fold.alpha, want["alpha_c"], spare=0)
    agrees(fold.m, want["m_c"], spare=0)


def test_retrieval_at_zero_temperature():
    want = NUMBERS["zero_temperature"]
    for alpha, m in want["m"].items():
        agrees(mt.solve(mt.Hopfield(alpha=float(alpha), T=0.0)).m, m)
    for alpha, e in want["retrieval_energy"].items():
        agrees(mt.solve(mt.Hopfield(alpha=float(alpha), T=0.0)).energy, e)
    for alpha, e in want["spin_glass_energy"].items():
        agrees(mt.solve(mt.Hopfield(alpha=float(alpha), T=0.0), "spin_glass").energy, e)


@pytest.mark.parametrize("row", NUMBERS["spinodal"]["rows"], ids=lambda row: f"T={row[0]}")
def test_spinodal_and_transition(row):
    T, alpha_M, m, q, AT, alpha_c = row
    fold = mt.spinodal(mt.Hopfield, T=float(T))
    agrees(fold.alpha, alpha_M)
    agrees(fold.m, m)
    agrees(fold.q, q)
    agrees(1 - fold.replicon, AT)
    agrees(mt.transition(mt.Hopfield, between=("retrieval", "spin_glass"), T=float(T)).alpha, alpha_c)


def test_spinodal_temperature():
    want = NUMBERS["spinodal_temperature"]["T_M"]
    line = mt.spinodal(mt.Hopfield, along="T", alpha=[float(a) for a in want])
    for found, shown in zip(line.T, want.values(), strict=True):
        agrees(found, shown)


def test_line_of_de_almeida_and_thouless():
    want = NUMBERS["at_line"]["T_AT"]
    line = mt.at_line(mt.Hopfield, along="T", alpha=[float(a) for a in want])
    for found, shown in zip(line.T, want.values(), strict=True):
        agrees(found, shown)


@pytest.mark.parametrize("row", NUMBERS["points"]["rows"], ids=lambda row: f"alpha={row[0]} T={row[1]}")
def test_points(row):
    alpha, T, *shown = row
    retrieval = mt.solve(mt.Hopfield(alpha=float(alpha), T=float(T)))
    glass = mt.solve(mt.Hopfield(alpha=float(alpha), T=float(T)), "spin_glass")
    found = [retrieval.m, retrieval.q, retrieval.r_noise, retrieval.free_energy, glass.q, glass.free_energy]
    for value, number in zip(found, shown, strict=True):
        agrees(value, number, spare=2e-11)


def test_sherrington_kirkpatrick():
    want = NUMBERS["sk"]
    agrees(mt.solve(mt.SherringtonKirkpatrick(T=0.0)).free_energy, want["ground_state"])
    glass = mt.solve(mt.SherringtonKirkpatrick(T=float(want["T"])))
    agrees(glass.q, want["q"])
    agrees(glass.free_energy, want["f"])


def test_capacity_from_examples():
    want = NUMBERS["dataset_capacity"]
    for rho, shown in want["supervised_rho"].items():
        agrees(mt.spinodal(mt.Hopfield, T=0.0, protocol="supervised", rho=float(rho)).alpha, shown)
    for r, M, *shown in want["by_r_and_M"]:
        for protocol, number in zip(("supervised", "unsupervised"), shown, strict=True):
            agrees(mt.spinodal(mt.Hopfield, T=0.0, protocol=protocol, r=float(r), M=int(M)).alpha, number)


@pytest.mark.parametrize("row", NUMBERS["dataset_points"]["rows"], ids=lambda row: f"T={row[0]} alpha={row[1]}")
def test_points_from_examples(row):
    T, alpha, rho, *shown = row
    point = mt.solve(mt.Hopfield(alpha=float(alpha), T=float(T), protocol="supervised", rho=float(rho)))
    for value, number in zip((point.m, point.n, point.q, point.r_noise), shown, strict=True):
        agrees(value, number)


def test_majority_vote():
    want = NUMBERS["zero_load"]
    point = mt.solve(mt.Hopfield(alpha=0.0, T=0.0, protocol="supervised", rho=float(want["rho"])))
    agrees(point.m, want["m"])
    agrees(point.n, want["n"])
