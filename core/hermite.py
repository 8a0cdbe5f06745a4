"""The powers of a Gaussian overlap in Hermite polynomials: what repeated sites do to the noise of a dense network."""

from math import factorial


def hermite_weights(P: int, diagonal: str) -> dict[int, float]:
    r"""The weights c_k^2 k!/P! of q^k in the covariance of (M/sqrt N)^P, all of them or that of k = P alone.

    With repeated sites x^P = sum_k c_k He_k(x), c_k = binom(P, k) (P - k - 1)!!; k = 0 is a constant energy.

    >>> hermite_weights(4, "included")
    {4: 1.0, 2: 3.0}
    """
    last = 0 if diagonal == "included" else P - 1
    found = {}
    for k in range(P, last, -2):
        pairs = (P - k) // 2
        c = factorial(P) // (factorial(k) * 2**pairs * factorial(pairs))
        found[k] = c * c * factorial(k) / factorial(P)
    return found
