"""A real network on real images: scikit-learn's 1797 handwritten digits, 8 x 8 pixels, no download.

The search space has the four hyperparameters of the Ray tutorial on Hyperband (learning rate, batch size, dropout
probability, standard deviation of the initial weights). It is wide on purpose: about a quarter of all configs never
learn anything, some blow up, and the good ones differ in how soon it shows. That is what a scheduler is for.
"""

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from hyperband.errors import ConfigurationError
from hyperband.space import choice, loguniform, uniform

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hyperband.trainable import Context

#: Images per split; what is left of the 1797 images is for training.
N_VALID: Final = 400
N_TEST: Final = 300

#: Which image belongs to which split never changes, so that accuracies compare across searches and seeds.
SPLIT_SEED: Final = 0

MOMENTUM: Final = 0.9


def space() -> dict[str, Any]:
    """Return the search space; its keys are the arguments of ``build``."""
    return {
        "learning_rate": loguniform(1e-4, 1.0),
        "batch_size": choice([16, 32, 64, 128, 256]),
        "dropout": uniform(0.0, 0.9),
        "init_std": loguniform(1e-3, 1.0),
    }


def load_digits_splits() -> dict[str, "NDArray[Any]"]:
    """Load the images and split them, always in the same way.

    Returns:
        ``x_train`` (1097, 1, 8, 8), ``x_valid`` (400, 1, 8, 8), ``x_test`` (300, 1, 8, 8): float32 in [0, 1];
        ``y_train``, ``y_valid``, ``y_test``: the digits 0 to 9 as int64, one per image.

    Raises:
        ConfigurationError: scikit-learn, which holds the images, is not installed.
    """
    try:
        from sklearn.datasets import load_digits  # noqa: PLC0415 - optional, and only the driver needs it
    except ImportError as error:
        message = (
            "The demo's images are part of scikit-learn, which is not installed; "
            "install it with `pip install 'hyperband[demo]'` and run the demo again."
        )
        raise ConfigurationError(message) from error
    pixels, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(SPLIT_SEED).permutation(len(labels))
    images = (pixels[order] / 16.0).astype(np.float32).reshape(-1, 1, 8, 8)  # a pixel is a count from 0 to 16
    labels = labels[order].astype(np.int64)
    n_train = len(labels) - N_VALID - N_TEST
    rows = {
        "train": slice(0, n_train),
        "valid": slice(n_train, n_train + N_VALID),
        "test": slice(n_train + N_VALID, None),
    }
    return {f"x_{split}": images[where].copy() for split, where in rows.items()} | {
        f"y_{split}": labels[where].copy() for split, where in rows.items()
    }


class Net(nn.Module):
    """Two convolutions with batch normalisation, one hidden layer, ten digits.

    The normalisation's running averages are state that no gradient touches: a checkpoint that forgets them
    shows at once in the accuracy after a resume.

    Args:
        dropout: Probability of dropping an activation before each dense layer, in [0, 1).
        init_std: Standard deviation of all initial weights, > 0; biases start at zero.
    """

    def __init__(self, *, dropout: float, init_std: float) -> None:
        super().__init__()
        averaging = 0.5  # torch's 0.1 needs more than the five batches that the shortest epoch has
        self.conv1 = nn.Conv2d(1, 16, kernel_size=3, padding=1)
        self.norm1 = nn.BatchNorm2d(16, momentum=averaging)
        self.conv2 = nn.Conv2d(16, 32, kernel_size=3, padding=1)
        self.norm2 = nn.BatchNorm2d(32, momentum=averaging)
        self.hidden = nn.Linear(32 * 2 * 2, 64)
        self.out = nn.Linear(64, 10)
        self.dropout = nn.Dropout(dropout)
        for layer in (self.conv1, self.conv2, self.hidden, self.out):
            nn.init.normal_(layer.weight, std=init_std)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits, shape (n, 10), of images of shape (n, 1, 8, 8)."""
        x = functional.max_pool2d(functional.relu(self.norm1(self.conv1(images))), 2)
        x = functional.max_pool2d(functional.relu(self.norm2(self.conv2(x))), 2)
        x = functional.relu(self.hidden(self.dropout(x.flatten(1))))
        logits: Tensor = self.out(self.dropout(x))
        return logits


def build(
    *,
    learning_rate: float,
    dropout: float,
    init_std: float,
    batch_size: int = 0,  # noqa: ARG001 - taken so that `build(**config)` works; the batches are cut while training
) -> tuple[Net, torch.optim.SGD]:
    """Build an untrained network and its optimiser from one config of ``space()``.

    Args:
        learning_rate: Step length of SGD, > 0.
        dropout: Probability of dropping an activation, in [0, 1).
        init_std: Standard deviation of the initial weights, > 0.
        batch_size: Not used here.
    """
    model = Net(dropout=dropout, init_std=init_std)
    return model, torch.optim.SGD(model.parameters(), lr=learning_rate, momentum=MOMENTUM)


def train_one_epoch(
    model: nn.Module, optimizer: torch.optim.Optimizer, data: Mapping[str, "NDArray[Any]"], batch_size: int
) -> float:
    """Train one pass over the shuffled training images.

    Order and dropout come from torch's global generator, which the package seeds per trial and saves with the
    trial's state: a trial that pauses and resumes goes on exactly as if it had not.

    Returns:
        The mean training loss per batch; not finite once training has blown up.
    """
    x_train, y_train = as_tensor(data["x_train"]), as_tensor(data["y_train"])
    batches = torch.split(torch.randperm(len(x_train)), batch_size)
    total = torch.zeros(())
    model.train()
    for rows in batches:
        loss = functional.cross_entropy(model(x_train[rows]), y_train[rows])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        total += loss.detach()  # stays a tensor: `.item()` in every step would cost a synchronisation on a GPU
    return total.item() / len(batches)


def train(ctx: "Context") -> None:
    """Train one config; this is all that a user of the package writes."""
    model, optimizer = build(**ctx.config)
    for _ in ctx.steps(model=model, optimizer=optimizer):
        loss = train_one_epoch(model, optimizer, ctx.data, ctx.config["batch_size"])
        ctx.report(accuracy=accuracy(model, ctx.data["x_valid"], ctx.data["y_valid"]), loss=loss)


def accuracy(model: nn.Module, images: "NDArray[Any]", labels: "NDArray[Any]") -> float:
    """Return the fraction of images, in [0, 1], that the network names correctly."""
    model.eval()
    with torch.no_grad():
        guesses = model(as_tensor(images)).argmax(dim=1)
    return float((guesses == as_tensor(labels)).double().mean())


def test_accuracy(model: nn.Module, data: Mapping[str, "NDArray[Any]"]) -> float:
    """Return the accuracy, in [0, 1], on the test images, which no part of a search ever sees."""
    return accuracy(model, data["x_test"], data["y_test"])


def as_tensor(array: "NDArray[Any]") -> Tensor:
    """View an array as a tensor without copying it; never write to the result.

    Arrays in Ray's object store are shared by all workers and hence read-only. Torch has no read-only tensors and
    warns about that; as nothing here writes to its inputs, the warning has nothing to tell.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*not writable.*", category=UserWarning)
        return torch.from_numpy(array)
