"""Samplers: the rule by which one spin flips, and the order in which sites are visited."""

from dataclasses import dataclass

ORDERS = ("sequential", "permutation", "random")


def _check_order(order: str) -> None:
    if order not in ORDERS:
        raise ValueError(f"order must be one of {', '.join(map(repr, ORDERS))}, got {order!r}")


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


Sampler = HeatBath | Metropolis
