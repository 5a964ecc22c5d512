"""The layer that follows a velocity, held to the midpoint rule written out."""

import keras
import numpy as np
import pytest

from components.generators.families import flow
from components.generators.families.networks import Conditions
from components.generators.families.ode_sampler import GUIDANCE, STEPS
from components.generators.keras_generator import network_bytes, network_from_bytes
from components.generators.training.gradient_step import input_gradient

DIMENSIONS, SHAPE = 6, (4, 4, 1)


def made(seed: int):
    """A sampler with its plane and velocity, every weight drawn at random: trained or not makes no matter."""
    random = np.random.default_rng(seed)
    keras.utils.clear_session()
    flat = flow.Plane(random.normal(size=16), random.normal(size=(16, DIMENSIONS)), random.uniform(1, 2, DIMENSIONS))
    moving = flow.velocity(DIMENSIONS, Conditions(3, 2), 16, "average")
    moving.set_weights([random.normal(0, 0.25, value.shape) for value in moving.get_weights()])
    return flow.sampler(flat, moving, SHAPE), flat, moving


@pytest.fixture(scope="module")
def parts():
    return made(0)


@pytest.fixture(scope="module")
def given():
    random = np.random.default_rng(1)
    codes = (np.arange(5) % 3, np.arange(5) % 3, random.integers(0, 3, (5, 2)))
    noise = random.normal(size=(5, DIMENSIONS)).astype(np.float32)
    return [keras.ops.convert_to_tensor(values) for values in (noise, *(code.astype(np.int32) for code in codes))]


def written_out(parts, noise, *wished, guidance=GUIDANCE):
    """The same pictures, step by step."""
    _, flat, moving = parts
    point = noise

    def speed(place, moment):
        now = keras.ops.full((len(noise), 1), moment)
        asked, plain = (moving([place, now, *wished[:2], traits]) for traits in (wished[2], 0 * wished[2]))
        return (1.0 + guidance) * asked - guidance * plain

    for number in range(STEPS):
        half = point + speed(point, number / STEPS) * (0.5 / STEPS)
        point = point + speed(half, (number + 0.5) / STEPS) / STEPS
    pixels = keras.ops.matmul(point, (flat.components * flat.scale).T.astype(np.float32)) + flat.mean.astype(np.float32)
    return keras.ops.reshape(pixels, (-1, *SHAPE))


def test_pictures_are_those_of_the_rule_written_out(parts, given):
    looped, reference = (
        keras.ops.convert_to_numpy(pictures) for pictures in (parts[0](given), written_out(parts, *given))
    )
    assert looped.std() > 1.0
    np.testing.assert_allclose(looped, reference, rtol=1e-5, atol=2e-5)


def test_guidance_moves_pictures_of_spoken_traits_alone(parts, given):
    for silent, moved in ((True, False), (False, True)):
        wished = [*given[:3], 0 * given[3]] if silent else given
        plain = keras.ops.convert_to_numpy(written_out(parts, *wished, guidance=0.0))
        gap = np.abs(keras.ops.convert_to_numpy(parts[0](wished)) - plain).max()
        assert (gap > 0.1) == moved, gap
        assert moved or gap < 1e-4


def test_so_are_their_gradients_in_the_noise(parts, given):
    noise, *wished = given
    looped = input_gradient(lambda values: parts[0]([values, *wished]) ** 2, noise)
    reference = input_gradient(lambda values: written_out(parts, values, *wished) ** 2, noise)
    np.testing.assert_allclose(*map(keras.ops.convert_to_numpy, (looped, reference)), rtol=1e-4, atol=1e-3)


def test_equal_samplers_are_equal_bytes_which_load_as_the_same_sampler(given):
    sampler = made(0)[0]
    content = network_bytes(sampler)
    made(1)  # counters of the process go on
    assert network_bytes(made(0)[0]) == content
    one, same = (keras.ops.convert_to_numpy(each(given)) for each in (sampler, network_from_bytes(content)))
    assert np.array_equal(one, same)


def test_a_sampler_holds_its_velocity_once(parts):
    sampler, _, moving = parts
    own = {id(variable) for variable in moving.variables}
    assert own < {id(variable) for variable in sampler.variables}
    assert len(sampler.variables) == len(own) + 2  # and the pixels' kernel and bias
