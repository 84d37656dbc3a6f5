"""Hosts by name: what is asked of one that it does not have is refused, and nothing else is compared."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from naive import check_refused

import sphere_theory
from sphere_theory.errors import InputError, RangeError
from sphere_theory.hosts.checkpoint import CheckpointLayer
from sphere_theory.hosts.minilm import MiniLM
from sphere_theory.hosts.registry import HOSTS, make_host, title_of
from sphere_theory.hosts.synthetic import SyntheticLayer


def test_hosts_by_name() -> None:
    assert make_host("minilm", layer=2, tensor=None) == MiniLM(2)
    assert make_host("synthetic", shape=(3, 4)) == SyntheticLayer((3, 4))
    assert make_host("some/model", tensor="W") == CheckpointLayer("some/model", "W")
    assert (title_of("minilm"), title_of("synthetic")) == ("MiniLM", None)


BAD = {
    "of another host": (
        lambda: make_host("synthetic", layer=2),
        InputError,
        "layer: expected none for synthetic, which has shape, source, spectrum, decay, got 2",
    ),
    "no tensor": (
        lambda: make_host("model.safetensors"),
        RangeError,
        "tensor: expected the name of a matrix of model.safetensors, got nothing",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_wrong_use(name: str) -> None:
    check_refused(*BAD[name])


def test_nobody_else_compares_the_names_of_hosts() -> None:
    package = Path(sphere_theory.__file__).parent
    compared = re.compile(r"""[!=]= *["'](%s)["']|["'](%s)["'] *[!=]=""" % (("|".join(HOSTS),) * 2))
    found = [str(path) for path in package.rglob("*.py") if compared.search(path.read_text(encoding="utf-8"))]
    assert not found
