"""Write trajectories.json: SHA-256 of final spins from the NumPy reference. Run by hand, never by the tests."""

import hashlib
import json
from pathlib import Path

import numpy as np

import mattis as mt
from mattis.mc.reference import final_spins

RULES = {"HeatBath": mt.HeatBath, "Metropolis": mt.Metropolis, "ZeroTemperature": mt.ZeroTemperature}
TABLES = {"M^3/7": lambda M: M**3 / 7, "|M|": np.abs, "4 where M > N/2": lambda M: 4 * (M[-1] < 2 * M)}
SIZES = ("N", "K", "samples", "d", "seed")
RUN = ("T", "chains", "sweeps", "burn_in", "start", "seed")


def energy_of(case, samples=0):
    """The energy a case names by constructor and arguments, of its own or of more samples."""
    sizes = {name: case[name] for name in SIZES if name in case} | {"samples": case["samples"] + samples}
    arguments = dict(case.get("arguments", {}))
    if case.get("energy") == "CouplingEnergy":  # sum_k 2^-k (X_k + X_k^T)/sqrt(unit) of K square matrices of signs
        X = mt.patterns(**sizes | {"K": case["N"] * case["K"]}).values.reshape(-1, case["K"], case["N"], case["N"])
        J = np.einsum("zkij,k->zij", (X + X.transpose(0, 1, 3, 2)).astype(float), 0.5 ** np.arange(case["K"]))
        return mt.CouplingEnergy(J.astype(int) if case["K"] == 1 else J / np.sqrt(arguments["unit"]))
    data = mt.patterns(**sizes)
    if "M" in case:
        data = mt.examples(data, r=arguments["r"], M=case["M"], seed=case["seed"])
    if "F" in arguments:
        arguments["F"] = TABLES[arguments["F"]](np.arange(-case["N"], case["N"] + 1))
    return getattr(mt.OverlapEnergy, case.get("energy", "hebbian"))(data, **arguments)


def sampler_of(case):
    """The sampler a case names, with its rule and order."""
    rule = RULES[case.get("rule", case["sampler"])](case["order"])
    if case["sampler"] == "Annealing":
        return mt.Annealing(T_start=case["T_start"], rule=rule)
    return mt.ParallelTempering(adapt=False, rule=rule) if case["sampler"] == "ParallelTempering" else rule


def run_of(case):
    """The arguments of a run that a case states."""
    return {"sampler": sampler_of(case), "burn_in": 0} | {name: case[name] for name in RUN if name in case}


def case(sizes, energy, T, chains, sweeps, seed, sampler, order="sequential", start="random", **more):
    """One case; ``sizes`` is N, K, samples and ``energy`` a name and its arguments."""
    N, K, samples = sizes
    name, arguments = energy
    return (
        {"energy": name, "arguments": arguments, "N": N, "K": K, "samples": samples, "T": T, "chains": chains}
        | {"sweeps": sweeps, "seed": seed, "sampler": sampler, "order": order, "start": start}
        | more
    )


ORDERS = ("sequential", "permutation", "random")
THREE, SIX, EIGHT = [0.3, 0.8, 1.7], [0.2, 0.4, 0.7, 1.0, 1.4, 2.0], np.linspace(0.3, 1.7, 8).round(2).tolist()
HEBBIAN = ("hebbian", {})


def dense(P, diagonal="excluded"):
    return "dense", {"P": P, "diagonal": diagonal}


def supervised(P, r, diagonal="excluded"):
    return "supervised", {"P": P, "r": r, "diagonal": diagonal}


FIRST = [
    {"N": N, "K": K, "samples": samples, "T": T, "chains": chains, "sweeps": sweeps, "seed": seed}
    | {"sampler": sampler, "order": order, "start": start}
    for N, K, samples, T, chains, sweeps, seed, start in [
        (1, 3, 2, [0.7, 1.3], 5, 4, 2, "random"),
        (3, 1, 2, [0.3, 0.9], 4, 7, 5, "random"),
        (30, 7, 3, [0.25, 1.0], 2, 9, 13, "random"),
        (33, 5, 2, [0.4, 1.5, 3.0], 4, 8, 2**40 + 3, "pattern"),
        (101, 13, 2, [0.2, 1.1], 3, 6, 17, "random"),
        (997, 53, 1, [0.3, 1.0], 2, 4, 19, "pattern"),
    ]
    for sampler in ("HeatBath", "Metropolis")
    for order in ORDERS
] + [
    {"N": 10000, "K": 1000, "samples": 1, "T": [1.0], "chains": 1, "sweeps": 2, "seed": 23}
    | {"sampler": sampler, "order": "sequential", "start": "random"}
    for sampler in ("HeatBath", "Metropolis")
]
"""The first cases, all Hopfield's."""

SIDE_BY_SIDE = [  # 24, 40 and 32 chains of one sample; N = 4000 and 10000 leave 16 bits
    case((N, K, samples), HEBBIAN, T, chains, sweeps, seed, sampler, order)
    for N, K, samples, T, chains, sweeps, seed in [
        (5, 1, 2, THREE, 8, 5, 29),
        (30, 1, 1, EIGHT, 5, 5, 31),
        (97, 31, 2, SIX, 4, 5, 37),
        (101, 130, 1, EIGHT, 5, 4, 41),
        (331, 67, 1, THREE, 11, 3, 43),
    ]
    for sampler in ("HeatBath", "Metropolis")
    for order in ORDERS
] + [
    case((N, K, 1), HEBBIAN, T, chains, sweeps, seed, sampler, start=start)
    for sampler in ("HeatBath", "Metropolis")
    for N, K, T, chains, sweeps, seed, start in [
        (1000, 50, EIGHT, 3, 2, 47, "pattern"),
        (4001, 199, SIX, 4, 2, 53, "symmetric"),
        (10000, 1000, [1.0], 32, 4, 59, "random"),
        (1000, 64, [0.3], 1, 6, 61, "pattern"),
        (4001, 191, [1.0], 1, 5, 67, "random"),
        (5, 1, [0.6], 1, 9, 71, "random"),
        (97, 1, THREE, 2, 7, 73, "random"),
        (130, 101, THREE, 2, 5, 79, "random"),
    ]
]

WEIGHTS = [
    case((101, 37, 2), ("multitasking", {}), EIGHT, 5, 5, 83, "HeatBath", d=0.4),
    case((30, 7, 2), ("multitasking", {"diagonal": "included"}), THREE, 8, 6, 89, "Metropolis", d=0.8),
    case((33, 5, 2), ("multitasking", {}), THREE, 1, 6, 97, "HeatBath", start="hierarchical", d=0.6),
    case((97, 89, 1), ("multitasking", {}), SIX, 4, 4, 101, "Metropolis", "permutation", "hierarchical", d=0.9),
    case((33, 41, 1), ("multitasking", {}), THREE, 13, 4, 103, "HeatBath", "random", "symmetric", d=0.95),
    case((101, 7, 2), supervised(2, 0.6), EIGHT, 3, 5, 107, "HeatBath", start="example", M=6),
    case((97, 5, 2), supervised(2, 0.8, "included"), THREE, 13, 5, 109, "Metropolis", "permutation", M=9),
    case((33, 7, 2), supervised(2, 0.7), THREE, 1, 6, 113, "HeatBath", "random", "pattern", M=5),
    case((53, 5, 1), supervised(2, 1.0), THREE, 8, 5, 127, "Metropolis", M=300),
    case((51, 5, 1), supervised(2, 1.0), THREE, 8, 5, 131, "HeatBath", M=5000),
    case((61, 3, 2), supervised(2, 0.9), THREE, 8, 5, 137, "HeatBath", d=0.5, M=7),
    case((61, 3, 2), ("unsupervised", {"P": 2, "r": 0.7}), THREE, 8, 5, 139, "HeatBath", start="example", M=7),
]

POWERS = (
    [
        case((N, K, samples), dense(P, diagonal), T, chains, sweeps, seed + P, sampler)
        for P in (3, 4)
        for diagonal in ("excluded", "included")
        for N, K, samples, T, chains, sweeps, seed, sampler in [
            (3, 1, 2, THREE, 2, 6, 149, "HeatBath"),
            (30, 17, 2, THREE, 3, 5, 151, "Metropolis"),
            (101, 211, 1, [0.15, 2.0], 1, 3, 157, "HeatBath"),
        ]
    ]
    + [
        case((101, 13, 1), dense(P), THREE, 1, 4, 163 + P, "Metropolis", order)
        for P in (3, 4)
        for order in ("permutation", "random")
    ]
    + [
        case((41, 23, 2), dense(5), THREE, 1, 4, 173, "HeatBath"),
        case((41, 23, 1), dense(5, "included"), THREE, 1, 4, 179, "Metropolis"),
        case((23, 11, 1), dense(6), THREE, 1, 4, 181, "HeatBath", start="pattern"),
        case((601, 29, 1), dense(4), [0.2, 1.5], 1, 2, 191, "HeatBath", start="pattern"),
        case((1501, 7, 1), dense(4, "included"), [0.2, 1.5], 1, 1, 193, "Metropolis", start="pattern"),
        case((500, 2503, 1), dense(3), [0.15, 1.0], 1, 1, 197, "Metropolis", start="pattern"),
        case((33, 7, 2), ("unsupervised", {"P": 3, "r": 0.8}), THREE, 2, 4, 199, "HeatBath", M=3),
        case((33, 7, 1), ("unsupervised", {"P": 4, "r": 0.8}), THREE, 2, 4, 211, "HeatBath", M=3),
    ]
)

ANY = [
    case((41, 11, 2), dense(3), THREE, 2, 4, 223, "HeatBath", d=0.4),
    case((41, 11, 1), dense(4), THREE, 3, 4, 227, "Metropolis", d=0.7),
    case((41, 11, 1), dense(4, "included"), THREE, 2, 4, 229, "HeatBath", "permutation", d=0.3),
    case((37, 5, 2), supervised(3, 0.7), THREE, 2, 4, 233, "HeatBath", start="example", M=4),
    case((37, 5, 1), supervised(3, 0.7, "included"), THREE, 3, 4, 239, "Metropolis", "random", M=6),
    case((37, 5, 1), supervised(4, 0.7), THREE, 2, 4, 241, "HeatBath", M=4),
    case((29, 3, 1), supervised(5, 0.9), THREE, 1, 3, 251, "Metropolis", M=3),
    case((37, 5, 1), supervised(4, 0.7, "included"), THREE, 2, 4, 257, "HeatBath", d=0.5, M=5),
    case((37, 5, 2), ("table", {"F": "M^3/7"}), [20.0, 300.0], 3, 4, 263, "HeatBath"),
    case((37, 13, 1), ("table", {"F": "|M|"}), THREE, 2, 4, 269, "Metropolis", "permutation", d=0.4),
    case((37, 13, 1), ("table", {"F": "4 where M > N/2"}), THREE, 9, 4, 271, "HeatBath", start="pattern"),
]

COUPLINGS = [
    case((N, K, samples), ("CouplingEnergy", {"unit": unit}), T, chains, sweeps, seed, sampler, order)
    for N, K, samples, unit, T, chains, sweeps, seed in [
        (37, 1, 2, 1, [3.0, 9.0], 3, 5, 277),
        (101, 5, 1, 101, THREE, 1, 4, 281),
        (330, 3, 1, 330, [0.1], 1, 3, 283),
    ]
    for sampler, order in (("HeatBath", "sequential"), ("Metropolis", "permutation"), ("Metropolis", "random"))
]

DOWNHILL = [
    case((N, K, 2), energy, [0.0], chains, 3, 293 + N, "ZeroTemperature", order, **more)
    for order in (*ORDERS, "parallel")
    for N, K, energy, chains, more in [
        (101, 37, HEBBIAN, 3, {}),
        (97, 31, HEBBIAN, 24, {}),
        (103, 11, ("multitasking", {"diagonal": "included"}), 9, {"d": 0.4}),
        (41, 7, dense(3), 3, {}),
        (43, 7, dense(4, "included"), 3, {}),
        (37, 5, supervised(3, 0.7), 3, {"M": 4}),
        (39, 5, ("table", {"F": "|M|"}), 3, {"d": 0.3}),
        (47, 3, ("CouplingEnergy", {"unit": 47}), 3, {}),
    ]
]

MOVING = [
    case(sizes, energy, T, chains, 5, 400 + sizes[0], sampler, order, rule=rule, burn_in=4, **more)
    for sampler, also in (("Annealing", {"T_start": 2.5}), ("ParallelTempering", {}))
    for sizes, energy, T, chains, rule, order, more in [
        ((101, 13, 2), HEBBIAN, EIGHT, 5, "HeatBath", "sequential", also),
        ((97, 7, 1), HEBBIAN, EIGHT, 3, "Metropolis", "permutation", also),
        ((30, 7, 2), HEBBIAN, THREE, 1, "Metropolis", "sequential", also),
        ((99, 11, 1), ("multitasking", {}), SIX, 3, "HeatBath", "random", also | {"d": 0.4}),
        ((41, 13, 2), dense(3), THREE, 3, "HeatBath", "sequential", also),
        ((43, 13, 1), dense(4), THREE, 3, "Metropolis", "random", also),
        ((37, 5, 1), supervised(3, 0.7), THREE, 3, "HeatBath", "sequential", also | {"M": 4}),
        ((53, 3, 2), ("CouplingEnergy", {"unit": 53}), THREE, 3, "Metropolis", "sequential", also),
    ]
]

CASES = FIRST + SIDE_BY_SIDE + WEIGHTS + POWERS + ANY + COUPLINGS + DOWNHILL + MOVING


def main() -> None:
    written = []
    for one in CASES:
        spins = final_spins(energy_of(one), **run_of(one))
        written.append(one | {"sha256": hashlib.sha256(spins.tobytes()).hexdigest()})
    lines = ",\n".join(json.dumps(one) for one in written)
    Path(__file__).with_name("trajectories.json").write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()
