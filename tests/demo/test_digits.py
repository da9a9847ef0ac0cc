"""What the demo trains: the images, the network, and that training does what a search relies on."""

import sys
import warnings
from inspect import signature

import numpy as np
import pytest
import torch

from hyperband.demo import digits
from hyperband.errors import ConfigurationError

CONFIG = {"learning_rate": 0.02, "batch_size": 64, "dropout": 0.1, "init_std": 0.1}


@pytest.fixture(scope="module")
def data() -> dict[str, np.ndarray]:
    """The splits as a worker sees them: read-only."""
    splits = digits.load_digits_splits()
    for array in splits.values():
        array.flags.writeable = False
    return splits


@pytest.fixture(autouse=True)
def _one_thread_and_a_seed() -> None:
    """Every test starts from the same random state, on one thread as in a worker."""
    torch.set_num_threads(1)
    torch.manual_seed(0)


def test_every_image_is_in_exactly_one_split(data: dict[str, np.ndarray]) -> None:
    """Train, valid and test together are scikit-learn's data set, each image once."""
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    ours = np.concatenate([data[f"x_{split}"].reshape(-1, 64) for split in ("train", "valid", "test")]) * 16
    names = np.concatenate([data[f"y_{split}"] for split in ("train", "valid", "test")])
    assert sorted(map(tuple, np.column_stack([ours, names]))) == sorted(map(tuple, np.column_stack([pixels, labels])))


def test_images_are_float32_in_nchw_between_zero_and_one(data: dict[str, np.ndarray]) -> None:
    """Shapes, types and ranges are what the docstring says."""
    for split, n in {"train": 1097, "valid": 400, "test": 300}.items():
        x, y = data[f"x_{split}"], data[f"y_{split}"]
        assert (x.shape, x.dtype, y.shape, y.dtype) == ((n, 1, 8, 8), np.float32, (n,), np.int64)
        assert x.min() >= 0
        assert x.max() <= 1


def test_two_loads_give_the_same_splits(data: dict[str, np.ndarray]) -> None:
    """The split does not depend on any global random state."""
    np.random.seed(1)  # noqa: NPY002 - the global generator is the one that must not matter
    for name, array in digits.load_digits_splits().items():
        np.testing.assert_array_equal(array, data[name])


def test_without_scikit_learn_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing optional dependency ends in the command that installs it."""
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(ConfigurationError, match=r"hyperband\[demo\]"):
        digits.load_digits_splits()


def test_the_space_is_what_build_takes() -> None:
    """Each hyperparameter is an argument of `build`, and no argument is missing in the space."""
    assert set(digits.space()) == set(signature(digits.build).parameters) == set(CONFIG)


def test_read_only_arrays_become_tensors_without_copy_or_warning(data: dict[str, np.ndarray]) -> None:
    """What lies in shared memory is used where it lies."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tensor = digits.as_tensor(data["x_train"])
    assert tensor.data_ptr() == data["x_train"].ctypes.data


def test_a_good_config_learns_and_leaves_the_data_alone(data: dict[str, np.ndarray]) -> None:
    """Five epochs get nine of ten unseen images right, and nothing is written into shared memory."""
    before = {name: array.copy() for name, array in data.items()}
    model, optimizer = digits.build(**CONFIG)
    losses = [digits.train_one_epoch(model, optimizer, data, CONFIG["batch_size"]) for _ in range(5)]
    assert losses[-1] < losses[0]
    assert digits.test_accuracy(model, data) > 0.9
    for name, array in data.items():
        np.testing.assert_array_equal(array, before[name])


def test_training_is_a_function_of_the_seed(data: dict[str, np.ndarray]) -> None:
    """The same global torch seed gives the same weights bit for bit; another seed does not."""

    def weights(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        model, optimizer = digits.build(**CONFIG)
        digits.train_one_epoch(model, optimizer, data, CONFIG["batch_size"])
        return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])

    assert torch.equal(weights(0), weights(0))
    assert not torch.equal(weights(0), weights(1))


def test_validation_draws_no_random_numbers(data: dict[str, np.ndarray]) -> None:
    """Reporting more or less often does not change the training that follows."""
    model, _ = digits.build(**CONFIG)
    before = torch.get_rng_state()
    digits.accuracy(model, data["x_valid"], data["y_valid"])
    assert torch.equal(torch.get_rng_state(), before)
