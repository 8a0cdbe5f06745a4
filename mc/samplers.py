"""Samplers: the rule by which one spin flips, the order of the sites, and what the temperature does."""

from dataclasses import dataclass

import numpy as np

from ..core.errors import require

ORDERS = ("sequential", "permutation", "random")


def _check_order(order: str, allowed: tuple[str, ...] = ORDERS) -> None:
    if order not in allowed:
        raise ValueError(f"order must be one of {', '.join(map(repr, allowed))}, got {order!r}")


@dataclass(frozen=True)
class HeatBath:
    r"""Heat bath (Glauber) dynamics: a spin flips with the probability of its flipped state.

    .. math:: P(\mathrm{flip}) = \frac{1}{1 + e^{\Delta E/T}}

    Parameters
    ----------
    order : "sequential", "permutation" (a new one each sweep) or "random" (with replacement)
        Orders are drawn per sample and sweep and shared by all its chains. Sequential sweeps keep the
        equilibrium law but are not reversible in time.

    Raises
    ------
    ValueError for any other order.

    Source: R. J. Glauber, J. Math. Phys. 4, 294 (1963).

    >>> HeatBath().order
    'sequential'
    """

    order: str = "sequential"

    def __post_init__(self) -> None:
        _check_order(self.order)


@dataclass(frozen=True)
class Metropolis:
    r"""Metropolis dynamics: a spin flips surely where that costs nothing.

    .. math:: P(\mathrm{flip}) = \min(1, e^{-\Delta E/T})

    Parameters
    ----------
    order : "sequential", "permutation" (a new one each sweep) or "random" (with replacement)
        As in ``HeatBath``. At high T a sweep over all sites, in sequence or permuted, flips nearly every spin, a
        pattern of period two: take the heat bath there.

    Raises
    ------
    ValueError for any other order.

    Source: Metropolis et al., J. Chem. Phys. 21, 1087 (1953).

    >>> Metropolis(order="random").order
    'random'
    """

    order: str = "sequential"

    def __post_init__(self) -> None:
        _check_order(self.order)


_HEAT_BATH = HeatBath()


@dataclass(frozen=True)
class ZeroTemperature:
    r"""Dynamics at T = 0: a spin flips where that lowers the energy; ties stay. Nothing is drawn but the order.

    .. math:: \sigma_i \leftarrow \mathrm{sign}(h_i), \qquad 2 \sigma_i h_i = \Delta E

    Parameters
    ----------
    order : "sequential", "permutation", "random", or "parallel" for the Little dynamics, where all spins of a sweep
        follow the fields of the sweep before (a fixed point or a cycle of two; with the diagonal included its term
        of the field counts, as it does not for single flips)

    Raises
    ------
    ValueError for any other order.

    Source: J. J. Hopfield, PNAS 79, 2554 (1982); W. A. Little, Math. Biosci. 19, 101 (1974).

    >>> ZeroTemperature("parallel").order
    'parallel'
    """

    order: str = "sequential"

    def __post_init__(self) -> None:
        _check_order(self.order, (*ORDERS, "parallel"))


@dataclass(frozen=True)
class Annealing:
    r"""Cooling to each T over the burn-in, in equal steps.

    .. math:: T_n = T_\mathrm{start} + (T - T_\mathrm{start}) \frac{n}{n_\mathrm{burn\,in}}, \quad
              n < n_\mathrm{burn\,in}, \qquad T_n = T \ \text{after}

    Parameters
    ----------
    T_start : float, at least every T of the simulation
    rule : HeatBath or Metropolis, with its order

    Raises
    ------
    ValueError or TypeError for other values.

    Source: Kirkpatrick, Gelatt, Vecchi, Science 220, 671 (1983).

    >>> Annealing(T_start=2.0).rule
    HeatBath(order='sequential')
    """

    T_start: float
    rule: HeatBath | Metropolis = _HEAT_BATH

    def __post_init__(self) -> None:
        require(np.isfinite(self.T_start) and self.T_start > 0, "T_start", self.T_start, "finite and > 0")
        _check_rule(self.rule)


@dataclass(frozen=True)
class ParallelTempering:
    r"""Replica exchange along the temperatures of the simulation, which must rise; a swap round after every sweep.

    .. math:: P(\mathrm{swap}) = \min\big(1, e^{(1/T_t - 1/T_{t+1})(E_t - E_{t+1})}\big)

    Temperatures move between the chains, spins do not. Even and odd pairs take turns, which is not reversible and
    faster than random pairs. Lengths of the axis T are temperatures: draw t is whichever chain was there.

    Parameters
    ----------
    swap : "even-odd"
    adapt : bool; move the inner temperatures to equal swap rates, by pilot runs of the first ladder of the first
        sample over 1/8, 1/4 and 1/2 of burn_in; the run then begins afresh with the new ladder
    rule : HeatBath or Metropolis, with its order

    Raises
    ------
    ValueError or TypeError for other values.

    Source: Hukushima, Nemoto, J. Phys. Soc. Jpn. 65, 1604 (1996); Syed, Bouchard-Cote, Deligiannidis, Doucet,
    J. R. Stat. Soc. B 84, 321 (2022), arXiv:1905.02939, for the swap scheme and the ladder.

    >>> ParallelTempering(adapt=False).swap
    'even-odd'
    """

    swap: str = "even-odd"
    adapt: bool = True
    rule: HeatBath | Metropolis = _HEAT_BATH

    def __post_init__(self) -> None:
        if self.swap != "even-odd":
            raise ValueError(f"swap must be 'even-odd', got {self.swap!r}")
        if not isinstance(self.adapt, bool):
            raise TypeError(f"adapt must be True or False, got {self.adapt!r}")
        _check_rule(self.rule)


def _check_rule(rule: object) -> None:
    if not isinstance(rule, HeatBath | Metropolis):
        raise TypeError(f"rule must be HeatBath() or Metropolis(), got {rule!r}")


Sampler = HeatBath | Metropolis | ZeroTemperature | Annealing | ParallelTempering
