"""Write trajectories.json: SHA-256 of final spins from the NumPy reference. Run by hand, never by the tests."""

import hashlib
import json
from pathlib import Path

import mattis as mt
from mattis.mc.reference import final_spins

SAMPLERS = {"HeatBath": mt.HeatBath, "Metropolis": mt.Metropolis}
CASES = [
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
    for sampler in SAMPLERS
    for order in ("sequential", "permutation", "random")
] + [
    {"N": 10000, "K": 1000, "samples": 1, "T": [1.0], "chains": 1, "sweeps": 2, "seed": 23}
    | {"sampler": sampler, "order": "sequential", "start": "random"}
    for sampler in SAMPLERS
]


def main() -> None:
    written = []
    for case in CASES:
        xi = mt.patterns(N=case["N"], K=case["K"], samples=case["samples"], seed=case["seed"])
        spins = final_spins(
            mt.OverlapEnergy.hebbian(xi),
            sampler=SAMPLERS[case["sampler"]](case["order"]),
            **{name: case[name] for name in ("T", "chains", "sweeps", "start", "seed")},
        )
        written.append(case | {"sha256": hashlib.sha256(spins).hexdigest()})
    lines = ",\n".join(json.dumps(case) for case in written)
    Path(__file__).with_name("trajectories.json").write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()
