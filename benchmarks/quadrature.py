r"""Accuracy and speed of the Gaussian averages of a field h = (mean + sd z)/T, three rules in one run.

``field`` (the fused rule), ``average`` (the split rule, for any function, one call per average, its error estimate
included) and Gauss-Hermite with 64 nodes, each for the seven averages of ``mattis.core.quadrature.FieldAverages``.
Truth is Gauss-Legendre on panels that shrink geometrically towards the zero of the field, with the derivatives of C
by Stein's lemma. Errors are in units of the natural scale of an average, W = max(sd, T): 1, 1/W, 1/W^2, 1/W^3,
1/(T W), max(W, |mean|), T/W.

    python benchmarks/quadrature.py
"""

import os
import time

import numpy as np

from mattis.core.quadrature import average, field, field_error

SEVEN = ("tanh", "C", "C_mean", "C_var", "sech4", "log2cosh", "entropy")
TABLE = ((1, 1), (2, 3), (5, 10), (20, 30), (100, 150))
REGIMES = ((0.0, 0.5), (0.5, 3.0), (3.0, 30.0), (30.0, 1e3), (1e3, 1e5))
REPEATS = 7
X64, W64 = np.polynomial.hermite_e.hermegauss(64)
X24, W24 = np.polynomial.legendre.leggauss(24)


def functions(h):
    """The integrands at unit temperature, in the order of SEVEN."""
    h = np.clip(h, -1e300, 1e300)  # ``average`` asks for the limits at +-inf
    e = np.exp(-2 * abs(h))
    sech2, t = 4 * e / (1 + e) ** 2, np.tanh(h)
    log = np.log1p(e)
    return t, sech2, -2 * t * sech2, sech2 * (2 - 3 * sech2), sech2**2, abs(h) + log, log + 2 * abs(h) * e / (1 + e)


def truth(mean, sd):
    """The seven averages at T = 1, of one field, as integrals over the distance u of z from the zero of the field."""
    zero, end = -mean / sd, 11.0 + abs(mean / sd)
    near = np.geomspace(0.05 / max(sd, 1.0), end, 60)
    edges = np.unique(np.clip(np.concatenate([-near, [0.0], near, np.linspace(-11, 11, 89) - zero]), -end, end))
    left, half = edges[:-1, None], np.diff(edges)[:, None] / 2
    u, w = (left + half * (1 + X24)).ravel(), (half * W24).ravel()
    z = zero + u
    w = w * np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi)
    rows = list(functions(sd * u))
    if sd > 1:  # Stein: moments of z over the peak do not cancel where the peak is narrow
        rows[2], rows[3] = z * rows[1] / sd, (z * z - 1) * rows[1] / (2 * sd * sd)
    return np.array([np.sum(w * row) for row in rows])


def by_split(mean, sd):
    """The seven averages by ``average``, one call each."""
    return np.stack([average(lambda h, k=k: functions(h)[k], mean, sd)[0] for k in range(7)])


def by_hermite(mean, sd):
    """The seven averages by 64 nodes of Gauss-Hermite."""
    h = mean[:, None] + sd[:, None] * X64
    return np.stack([f @ (W64 / W64.sum()) for f in functions(h)])


def by_field(mean, sd):
    """The seven averages by ``field``."""
    return np.stack(field(mean, sd, 1.0))


RULES = {"field": by_field, "average": by_split, "GH-64": by_hermite}


def natural(mean, sd):
    """The natural scales at T = 1."""
    W = np.maximum(sd, 1.0)
    return np.stack([W**0, 1 / W, W**-2, W**-3, 1 / W, np.maximum(W, abs(mean)), 1 / W])


def log_grid():
    """Widths from 1e-3 to 1e5; means in units of sd and of T."""
    sd = np.geomspace(1e-3, 1e5, 65)
    means = [y * np.maximum(sd, u) for y in (0.0, 0.1, 1.0, 3.0, 8.0) for u in (0.0, 1.0)]
    return np.concatenate(means), np.tile(sd, len(means))


def accuracy():
    """Errors on the table of TABLE, then the largest by regime of the width."""
    print("\n|error| of E tanh^2 at T = 1\n  mean     sd" + "".join(f"{n:>10}" for n in RULES))
    for point in TABLE:
        mean, sd = (np.array([v], float) for v in point)
        exact = truth(*map(float, point))[1]
        errors = [abs(rule(mean, sd)[1, 0] - exact) for rule in RULES.values()]  # E tanh^2 = 1 - E sech^2
        print(f"{point[0]:6} {point[1]:6}" + "".join(f"{e:10.0e}" for e in errors))
    mean, sd = log_grid()
    exact, unit = np.stack([truth(*p) for p in zip(mean, sd, strict=True)], axis=1), natural(mean, sd)
    errors = {name: abs(rule(mean, sd) - exact) / unit for name, rule in RULES.items()}
    errors["field_error"] = np.stack(field_error(mean, sd, 1.0, field(mean, sd, 1.0))) / unit
    for title, rows in (("tanh, C, sech4, log2cosh, entropy", [0, 1, 4, 5, 6]), ("C_mean, C_var", [2, 3])):
        print(f"\nlargest error of {title}, natural units (field_error: the estimate of field)")
        print("sd/T                  points" + "".join(f"{n:>13}" for n in errors))
        for low, high in REGIMES:
            at = (sd >= low) & (sd < high)
            print(
                f"[{low:7g}, {high:7g}) {at.sum():9}"
                + "".join(f"{e[rows][:, at].max():13.0e}" for e in errors.values())
            )


def speed():
    """Nanoseconds per point for all seven averages, and ratios within each repeat."""
    rng = np.random.default_rng(1987)
    mean, sd = rng.uniform(0, 20, 4000), np.exp(rng.uniform(np.log(0.1), np.log(50), 4000))
    programs = RULES | {"field_error": lambda mean, sd: field_error(mean, sd, 1.0, field(mean, sd, 1.0))}
    times = {name: [] for name in programs}
    for repeat in range(REPEATS + 1):
        for name, program in programs.items():
            before = time.process_time()
            program(mean, sd)
            if repeat:
                times[name].append(1e9 * (time.process_time() - before) / mean.size)
    print(f"\nCPU for all seven averages, {mean.size} points, sd/T from 0.1 to 50, {REPEATS} repeats")
    print("              ns per point   times field (least / median / largest)")
    for name, spent in times.items():
        ratio = np.array(spent) / np.array(times["field"])
        print(f"{name:12} {np.median(spent):13.0f}   {ratio.min():.1f} / {np.median(ratio):.1f} / {ratio.max():.1f}")


if __name__ == "__main__":
    print(f"load {os.getloadavg()[0]:.2f} on {os.cpu_count()} cores")
    accuracy()
    speed()
