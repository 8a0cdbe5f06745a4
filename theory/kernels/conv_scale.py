r"""Convolutions whose variances leave the range of floating-point numbers.

Layers of ABRelu units are homogeneous: with sigma_w^2 of layer l over 2^e_l and sigma_b^2 over 2^(e_1 + ... + e_l)
every covariance, of the NNGP and the NTK, is over 2^(e_1 + ... + e_L). A power of two changes no digit.
"""

from collections.abc import Sequence
from math import frexp, ldexp

from .chain import ERF, LARGE
from .conv_layers import ConvChain


def in_range(chain: ConvChain, names: Sequence[str], largest: float) -> tuple[ConvChain, int, bool]:
    """The chain for inputs of |x|^2/C at most ``largest``, the power of two taken out, and whether it fits the result.

    Raises ``OverflowError`` where an Erf layer would receive a variance taken out of scale.
    """
    sigma_w2, sigma_b2, total, q = chain.sigma_w2.copy(), chain.sigma_b2.copy(), 0, largest
    for layer, (code, al, be, offset) in enumerate(chain.activation):
        product = frexp(sigma_w2[layer])[1] + frexp(q)[1]  # of their exponents: it may be no number itself
        power = product if sigma_b2[layer] == 0 else max(product, frexp(sigma_b2[layer])[1] - total)
        drop = power if q > 0 and sigma_w2[layer] > 0 and abs(power) > LARGE else 0
        total += drop
        sigma_w2[layer], sigma_b2[layer] = ldexp(sigma_w2[layer], -drop), ldexp(sigma_b2[layer], -total)
        q = sigma_w2[layer] * q + sigma_b2[layer]
        if code == ERF and total:
            raise OverflowError(
                f"{names[2 * layer + 1]} receives a variance beyond 2^{total}: take other sigma_w before it"
            )
        q = al * al + offset**2 if code == ERF else q * (al * al + be * be) / 2
    return chain._replace(sigma_w2=sigma_w2, sigma_b2=sigma_b2), total, abs(frexp(q)[1] + total) < 900
