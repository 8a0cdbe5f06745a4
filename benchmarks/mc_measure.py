"""How the Monte Carlo benchmarks measure: chains swept without their frame, programs in turn, arrays counted."""

import hashlib
import time

import numpy as np

import mattis as mt
from mattis.mc import gpu
from mattis.mc.plan import Run, Unit
from mattis.mc.routing import Route
from mattis.mc.start import initial_spins

SEED = 1985
MIB = 2**20


def signs(N, K, seed=1982):
    """Random patterns of signs, int8 (mu, site), drawn faster than ``mt.patterns`` draws its addressed ones."""
    return 2 * np.random.default_rng(seed).integers(0, 2, (K, N), np.int8) - 1


class Chains:
    """Chains of one sample, swept by the kernel that ``simulate`` would take; of all samples where it is a device's.

    ``mt.simulate(energy, sampler=, T=, chains=, start=, seed=SEED, burn_in=0, sweeps=...)`` ends in the same spins.
    The first ``warm`` sweeps load or compile the kernel, another one if it is given; ``sha256`` is the hash of the
    spins after them.
    """

    def __init__(self, energy, sampler, T, chains=1, start="random", warm=100, device=False, kernel=None):
        T = np.atleast_1d(np.asarray(T, float))
        run = Run(energy, sampler, T, 0, warm, 1, SEED, ())
        t, chain = (x.ravel() for x in np.indices((T.size, chains)))
        route = gpu.Route(energy, run.rule, t.size) if device else Route(energy, run.rule, t.size, 1)
        unit = Unit(np.arange(energy.samples if device else 1), t, chain)
        spins = initial_spins(energy, start, T.size, chains, SEED)[unit.at]
        if kernel is None:
            ((_, self.kernel),) = route.kernels(unit, spins)
        else:
            self.kernel = kernel(kernel.tables(energy, 0), spins, run.rule, unit.lanes, 0)
        self.scales = np.tile(energy.scale(run.T)[t], (1, unit.samples.size, 1))
        self.energy, self.name, self._clock = (
            energy,
            self.kernel.name,
            time.perf_counter if device else time.thread_time,
        )
        self.attempts, self.warm, self.swept, self._flips = spins.size, warm, 0, 0
        self.seconds(warm)
        self._flips, self.sha256 = self.kernel.accepted.sum(), hashlib.sha256(self.spins().tobytes()).hexdigest()[:12]

    def seconds(self, sweeps):
        """CPU seconds of this thread for so many sweeps more; of a device, wall time."""
        before = self._clock()
        self.kernel.sweep(self.scales, self.swept, self.swept + sweeps)
        self.swept += sweeps
        return self._clock() - before

    def spins(self):
        """The spins of the first sample now, int8 (lane, site)."""
        return np.ascontiguousarray(self.kernel.spins()[0], np.int8)

    def acceptance(self):
        """Flips per attempt since the warm-up."""
        return (self.kernel.accepted.sum() - self._flips) / ((self.swept - self.warm) * self.attempts)

    def per_spin(self):
        """Energy per spin now, the mean over the lanes."""
        return float(self.energy.per_spin(self.kernel.total()).mean())

    def mib(self):
        """What the kernel and its tables hold."""
        return bytes_held(self.kernel) / MIB


def bytes_held(thing):
    """Bytes of all arrays reachable from an object, each memory once; an energy, which is the user's, apart."""
    seen, memory, todo = set(), {}, [thing]
    while todo:
        x = todo.pop()
        if id(x) in seen or isinstance(x, mt.OverlapEnergy | mt.CouplingEnergy | type):
            continue
        seen.add(id(x))
        if isinstance(x, np.ndarray):
            while isinstance(x.base, np.ndarray):
                x = x.base
            memory[id(x)] = x.nbytes
        elif isinstance(x, list | tuple | set):
            todo.extend(x)
        elif isinstance(x, dict):
            todo.extend(x.values())
        elif type(x).__module__.startswith("mattis"):
            todo.extend(getattr(x, "__dict__", {}).values())
    return sum(memory.values())


def in_turn(programs, repeats):
    """Attempts per CPU second of every program, (repeat,) each: one after the other, ``repeats`` rounds.

    ``programs`` maps a name to (program, sweeps per round).
    """
    rates = {name: [] for name in programs}
    for _ in range(repeats):
        for name, (program, sweeps) in programs.items():
            rates[name].append(program.attempts * sweeps / program.seconds(sweeps))
    return {name: np.array(values) for name, values in rates.items()}


def spread(values, form):
    """Median, and least and largest in brackets."""
    return f"{np.median(values):{form}} [{min(values):{form}}, {max(values):{form}}]"


def verdict(value, floor=None, ceiling=None):
    """Whether a goal is reached: at least a floor, or at most a ceiling."""
    if floor is None and ceiling is None:
        return ""
    reached, goal = (value >= floor, f">= {floor:g}") if ceiling is None else (value <= ceiling, f"<= {ceiling:g}")
    return f"goal {goal} {'reached' if reached else 'MISSED'}"


def compare(title, programs, repeats, *, unit="M/s", size=1e6, floors=None):
    """Measure programs in turn and print the table; the first one is what the others are compared with.

    Parameters
    ----------
    programs : name -> (program, sweeps per round); a program has ``attempts`` (per sweep), ``seconds``, ``acceptance``,
        ``per_spin``, ``mib`` and, where it is ours, ``name`` and ``sha256``
    size : attempts in one ``unit``
    floors : beginning of a name -> the rate of the first, and how many times faster than another it must be
    """
    rates, first = in_turn(programs, repeats), next(iter(programs))
    print(f"\n{title}\n  {'':22}{unit:>12}  {first + ' is so many times faster':36}accepted   e/spin       MiB")
    for name, (program, _) in programs.items():
        rate, ratio = rates[name] / size, rates[first] / rates[name]
        value = np.median(rate if name == first else ratio)
        told = "" if name == first else spread(ratio, ".4g")
        accepted, e, mib = program.acceptance(), program.per_spin(), program.mib()
        numbers = f"{accepted:8.4f} {e:8.4f} {mib:9.2f}".replace("nan", "  -")
        kernel = f"  {program.name}, {program.sha256}" if isinstance(program, Chains) else ""
        floor = next((f for key, f in (floors or {}).items() if name.startswith(key)), None)
        print(
            f"  {name:22}{np.median(rate):12.4g}  {told:36}{numbers}{kernel}  {verdict(value, floor)}".rstrip(),
            flush=True,
        )
    if "heat bath" in rates:
        ratio = rates["heat bath"] / rates["Metropolis"]
        print(f"  heat bath / Metropolis: {spread(ratio, '.2f')}  {verdict(np.median(ratio), 0.8)}")
    return rates
