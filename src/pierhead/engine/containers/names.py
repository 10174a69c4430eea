"""Container names: the rule, and made-up ones for who gives none."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from typing import Final

from pierhead.errors import InvalidParameter

_VALID = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+\Z")

ADJECTIVES: Final = tuple(
    """able agile airy amber ample artful autumn balmy blithe bold brave breezy bright brisk bubbly
    calm candid cheery clear clever coastal cosy crisp curious daring deft eager early earnest easy
    elated fair fearless fleet fond frank fresh gallant gentle gifted glad gleaming golden grand
    handy happy hardy harmonic hasty hearty honest humble ideal jaunty jolly jovial keen kind
    lively loyal lucid lucky lunar mellow merry mighty mild modest neat nimble noble novel
    optimistic patient peaceful placid playful plucky polished prime proud quick quiet radiant
    rapid ready roving rustic sage salty serene sharp shiny silent simple sincere sleek snug solar
    spirited spry stable stately steady stellar sturdy sunny swift tender thrifty tidal tidy
    tranquil trusty upbeat valiant vivid warm watchful wise witty zesty""".split()
)
SURNAMES: Final = tuple(
    """abel adams agnesi airy ampere anning archimedes avicenna backus banks barton bell bering
    bernoulli bessel bohr boole bouch bowditch braille brahe brunel byron cabot cantor carson
    cassini cauchy celsius cook coulomb curie dalton darwin descartes dias dijkstra dirac drake
    edison erasmus erdos euclid euler faraday fermat fermi fibonacci fitzroy flinders fourier
    franklin fresnel galileo galois gauss germain hamilton harrison herschel hertz hilbert hooke
    hopper huygens hypatia joule kepler khayyam knuth kovalevsky lagrange laplace lavoisier leibniz
    lister lovelace magellan maury maxwell meitner mendel mercator napier nautilus newton noether
    ohm pascal pasteur pauling peary planck poincare ptolemy pythagoras raman ramanujan riemann
    ritchie rontgen ross rutherford shackleton shannon smeaton somerville stevenson tasman tesla
    thales torricelli tull turing vesalius volta wallis watt weddell wren wright yonath
    zhukovsky""".split()
)


def check_name(name: str) -> str:
    """Return ``name`` without its leading slash, or raise ``InvalidParameter``."""
    bare = name.removeprefix("/")
    if not _VALID.match(bare):
        raise InvalidParameter(
            f"Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
        )
    return bare


def generate_name(
    container_id: str, taken: Callable[[str], bool], choose: random.Random | None = None
) -> str:
    """Make up a free name; after six collisions with a digit, fall back to the short id."""
    source = choose or random.SystemRandom()
    for attempt in range(7):
        name = f"{source.choice(ADJECTIVES)}_{source.choice(SURNAMES)}"
        if attempt:
            name += str(source.randrange(10))
        if not taken(name):
            return name
    return container_id[:12]
