"""Random number generators: the same numbers as those of NumPy's own functions, which take longer."""

import copy
import pickle

import numpy as np
import pytest
from numpy.random import PCG64, RandomState
from numpy.testing import assert_array_equal
from sklearn.utils import check_random_state

from fastbp import MLPRegressor
from fastbp._training import generators
from fastbp._training.generators import generator_of, read_twister, write_twister


def numbers(generator):
    order = np.arange(1000)
    generator.shuffle(order)
    return [*order, *generator.normal(size=3), *generator.randint(10**9, size=1500), *generator.uniform(size=3)]


@pytest.fixture(params=[True, False], ids=["memory", "NumPy"])
def layout_is_known(request, monkeypatch):
    assert generators._is_layout_known()
    monkeypatch.setattr(generators, "_is_layout_known", lambda: request.param)


@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1, np.int64(5), np.uint8(7), True])
def test_generator_of_a_seed(seed):
    assert numbers(generator_of(seed)) == numbers(RandomState(seed))


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_error_for_an_invalid_seed(seed):
    with pytest.raises(ValueError, match=r"Seed must be between 0 and 2\*\*32 - 1"):
        generator_of(seed)


def test_generators_are_returned_as_they_are():
    generator = RandomState(3)
    assert generator_of(generator) is generator
    assert generator_of(None) is check_random_state(None)


@pytest.mark.usefixtures("layout_is_known")
@pytest.mark.parametrize("n_drawn", [0, 3, 623, 624, 700])
def test_state_is_that_of_numpy(n_drawn):
    generator = RandomState(4)
    generator.randint(10**9, size=n_drawn)
    generator.normal()  # stores a second number
    state, (words, position) = generator.get_state(legacy=False), read_twister(generator)
    assert_array_equal(words, state["state"]["key"])
    assert words.dtype == np.uint32
    assert position == state["state"]["pos"]
    assert state["has_gauss"] == 1
    expected = numbers(copy.deepcopy(generator))
    generator.randint(10**9, size=1000)
    assert_array_equal(words, state["state"]["key"])  # the words are a copy
    write_twister(generator, words, position)
    assert numbers(generator) == expected


@pytest.mark.usefixtures("layout_is_known")
def test_other_generators_have_no_words():
    assert read_twister(RandomState(PCG64(1))) is None


def test_copies_continue_the_sequence():
    generator = generator_of(6)
    generator.normal(size=7)
    copies = [pickle.loads(pickle.dumps(generator)), copy.deepcopy(generator)]
    expected = numbers(generator)
    assert [numbers(copied) for copied in copies] == [expected, expected]


def test_pickled_generator_contains_only_classes_of_numpy():
    assert b"fastbp" not in pickle.dumps(generator_of(0))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.usefixtures("layout_is_known")
def test_fits_draw_the_same_numbers_from_a_seed_and_from_a_generator():
    X = RandomState(0).normal(size=(30, 3))
    generator = RandomState(8)
    by_seed, by_generator = (
        MLPRegressor(hidden_layer_sizes=(5,), max_iter=3, tol=0, random_state=one).fit(X, X[:, 0]) for one in (8, generator)
    )
    assert by_seed.loss_curve_ == by_generator.loss_curve_
    assert_array_equal(by_seed.coefs_[0], by_generator.coefs_[0])
    assert by_seed._state.rng.randint(10**9) == generator.randint(10**9)
