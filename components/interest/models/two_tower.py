"""A two-tower network on Keras 3: interactions beyond the linear pair map.

    logit(x, z) = a(x) + b(z) + c[creative] + s(x) . t(z) + sum_k m_k x_k z_k + r.pair

s and t are small perceptrons into one space (two-tower retrieval: Covington et al. 2016; Yi et al. 2019). m weighs the
columns that have the same name on both sides, such as a category: a shopper's tastes x_k act only there, since a and s
fit chance in them. Each tower runs once per row, not once per pair.
"""

import logging
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import numpy as np
import pandas as pd
from pydantic import Field

from components.contract.files.decoded_size import check_network
from components.contract.files.deterministic_archives import stable_keras
from components.features import Features
from components.features.categoricals import join_columns
from components.features.npz_records import from_npz, to_npz
from components.interest.model_protocol import CHUNK, Pairs, Tower, tower_logits
from components.interest.models.feature_blocks import ONE, SHOPPER_BLOCKS, RowEncoder
from components.interest.models.keras_init import draw_initial_weights
from components.interest.models.pair_design import ALONG, MATCH, PairMap
from components.interest.request_scorer import TowerScorer, slopes_in_order
from components.settings.errors import UserError
from components.settings.sections import Count, Section

log = logging.getLogger("adloom")

PAIR_MAP_FILE, NETWORK_FILE = "pairs.npz", "network.keras"
SPEED = 3.0  # the linear weights m and r learn as if the learning rate were so many times larger
PATIENCE = 4  # epochs in a row without a gain before training stops; the loss of few held-out rows is uneven
HELD_OUT_SHARE = 0.1  # the last tenth of the training rows decides when to stop and which epoch's weights to keep
VECTOR_LENGTH = 16  # of a tower's vector
DROPOUT = 0.2


class NetworkConfig(Section):
    """Settings of `interest.network`."""

    epochs: Count = 12  # at most; training stops earlier without a gain
    batch_size: Count = 4096
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    hidden: tuple[Count, ...] = (64, 32)
    l2: Annotated[float, Field(ge=0)] = 1e-4  # weight of the penalty beside the mean loss of a row


@dataclass(frozen=True)
class EpochStep:
    """One epoch: mean log loss on its training rows during the epoch, and on the held-out last tenth after it."""

    epoch: int
    train_loss: float
    held_out_loss: float


@dataclass(frozen=True)
class Network:
    """pairs: maps rows to inputs; model: the Keras model of the equation above, whose towers are layers of it.

    epochs: of its training; empty for a network that was read from files.
    """

    pairs: PairMap
    model: Any  # keras.Model
    name: str = "network"
    epochs: tuple[EpochStep, ...] = ()

    @property
    def losses(self) -> tuple[dict[str, float], ...]:
        """The log loss of each epoch on the pairs it learned from (`training`) and on those `held out`."""
        return tuple({"training": step.train_loss, "held out": step.held_out_loss} for step in self.epochs)

    def logits(self, pairs: Pairs) -> np.ndarray:
        """Log-odds of a click of n pairs, float64 [n]."""
        left = _run(
            self.model.get_layer("person"), _person_inputs(self.pairs, _person_blocks(self.pairs, pairs.impressions))
        )
        right = _run(self.model.get_layer("advert"), _advert_inputs(self.pairs, pairs.creatives))
        logits = tower_logits(left, right, pairs.row, pairs.column)
        if self.pairs.pairs:
            logits += pairs.values_of(self.pairs.pairs) @ _pair_slopes(self.model)
        return logits

    def request_scorer(self, creatives: pd.DataFrame, columns: tuple[str, ...], pairs: tuple[str, ...]) -> TowerScorer:
        """For requests with these columns and pair features: see request_scorer.py."""
        person, encoder = _compiled(self.model.get_layer("person")), RowEncoder(self.pairs.left, columns)
        slopes = _pair_slopes(self.model) if self.pairs.pairs else np.zeros(0)
        return TowerScorer(
            lambda request: _run(person, _person_inputs(self.pairs, encoder.encode(request))),
            _run(self.model.get_layer("advert"), _advert_inputs(self.pairs, creatives)),
            0.0,
            slopes_in_order(slopes, self.pairs.pairs, pairs),
        )

    def files(self) -> dict[str, bytes]:
        """File name -> bytes: the pair map as npz, the network in the format of Keras."""
        with TemporaryDirectory() as folder:  # Keras writes to a path only
            path = Path(folder) / NETWORK_FILE
            self.model.save(path)
            return {PAIR_MAP_FILE: to_npz(self.pairs), NETWORK_FILE: stable_keras(path.read_bytes())}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> "Network":
        """The model that `files` wrote. Raises UserError if a file is missing or damaged."""
        import keras

        if PAIR_MAP_FILE not in files or NETWORK_FILE not in files:
            raise UserError(f"a network interest model needs the files {PAIR_MAP_FILE} and {NETWORK_FILE}")
        check_network(files[NETWORK_FILE], NETWORK_FILE)
        with TemporaryDirectory() as folder:
            path = Path(folder) / NETWORK_FILE
            path.write_bytes(files[NETWORK_FILE])
            try:
                return cls(
                    from_npz(PairMap, files[PAIR_MAP_FILE]),
                    keras.saving.load_model(path, compile=False, safe_mode=True),
                )
            except (ValueError, OSError, TypeError, KeyError, zipfile.BadZipFile) as error:
                raise UserError(f"{NETWORK_FILE} is not a network interest model: {error}") from None


def train_network(features: Features, training: Pairs, click: np.ndarray, config: NetworkConfig, seed: int) -> Network:
    """The best network of all epochs, for training pairs in order of time and clicks 0/1 [n]."""
    steps = []
    for step, best in train_epochs(features, training, click, config, seed):  # noqa: B007 - the last one is returned
        log.info("network: epoch %d: log loss %.5f, held out %.5f", step.epoch, step.train_loss, step.held_out_loss)
        steps.append(step)
    return replace(best, epochs=tuple(steps))


def train_epochs(
    features: Features, training: Pairs, click: np.ndarray, config: NetworkConfig, seed: int
) -> Iterator[tuple[EpochStep, Network]]:
    """After each epoch its record and the network; the last network has the best epoch's weights.

    Pairs are in order of time, with clicks 0/1 [n]. Stops after `config.epochs`, or when PATIENCE epochs in a row have
    not lowered the held-out loss.
    """
    import keras

    pairs = PairMap.fit(features, training.impressions, training.names)
    learning = len(click) - max(1, int(len(click) * HELD_OUT_SHARE))  # the pairs after these are held out
    training_clicks, held_out = click[:learning], np.arange(learning, len(click))
    model = build_network(pairs, float(training_clicks.mean()), config, seed)
    draw_initial_weights(seed, model)
    model.compile(optimizer=keras.optimizers.Adam(config.learning_rate, name="adam"), loss=_loss())
    person = _person_inputs(pairs, _person_blocks(pairs, training.impressions))
    inputs = _Inputs(person, _advert_inputs(pairs, training.creatives), training)
    rng = np.random.default_rng(seed)
    start = best = model.get_weights()
    start_losses = best_losses = _losses(model, inputs, held_out, click[held_out])
    epochs_without_gain = 0
    for epoch in range(1, config.epochs + 1):
        train_loss = _one_pass(model, inputs, training_clicks, config.batch_size, rng)
        losses = _losses(model, inputs, held_out, click[held_out])
        better = losses.mean() < best_losses.mean()
        best, best_losses, epochs_without_gain = (
            (model.get_weights(), losses, 0) if better else (best, best_losses, epochs_without_gain + 1)
        )
        stop = epochs_without_gain == PATIENCE or epoch == config.epochs
        if stop:
            model.set_weights(best if _surely_better(best_losses, start_losses) else start)
        yield EpochStep(epoch, train_loss, float(losses.mean())), Network(pairs, model)
        if stop:
            return


def build_network(pairs: PairMap, base_rate: float, config: NetworkConfig, seed: int):
    """The Keras model of the equation above; its initial weights predict the base rate for every pair."""
    import keras
    from keras import layers

    namesakes = _namesakes(pairs)
    person = keras.Model(*_person(pairs, namesakes, config, seed), name="person")
    advert = keras.Model(*_advert(pairs, namesakes, base_rate, config, seed), name="advert")
    s, a = person(person.inputs)  # (n, SPACE + shared), (n, 1)
    t, b = advert(advert.inputs)
    logit = layers.Add(name="logit")([layers.Dot(axes=1, name="meeting")([s, t]), a, b])  # (n, 1)
    inputs = [*person.inputs, *advert.inputs]
    if pairs.pairs:
        values = keras.Input((len(pairs.pairs),), name="pair_values")
        slopes = layers.Dense(1, use_bias=False, kernel_initializer="zeros", name="pair_slopes")
        scaled = layers.Rescaling(SPEED, name="pair_values_scaled")(values)
        logit = layers.Add(name="logit_pairs")([logit, slopes(scaled)])
        inputs.append(values)
    return keras.Model(inputs, logit, name="interest")


def _person(pairs: PairMap, namesakes: tuple[tuple[str, str], ...], config: NetworkConfig, seed: int):
    import keras
    from keras import layers

    x = keras.Input((sum(block.width for block in pairs.left.all),), name="person_x")
    likes = keras.Input((sum(pairs.left.width(left) for left, _ in namesakes),), name="person_likes")
    used = [float(block.name not in SHOPPER_BLOCKS) for block in pairs.left.all for _ in range(block.width)]
    known = layers.Rescaling(used, name="without_tastes")(x)
    vector = layers.Concatenate(name="person_vector")([_perceptron(known, "person", config, seed), likes])
    return [x, likes], [vector, layers.Dense(1, use_bias=False, name="person_bias", **_small(config))(known)]


def _advert(pairs: PairMap, namesakes: tuple[tuple[str, str], ...], base_rate: float, config: NetworkConfig, seed: int):
    import keras
    from keras import layers

    width = sum(pairs.right.width(right) for _, right in namesakes)
    z = keras.Input((sum(block.width for block in pairs.right.numbers),), name="advert_z")
    shows = keras.Input((width,), name="advert_shows")
    start = keras.initializers.Constant(float(np.log(base_rate / (1 - base_rate))))
    bias = [layers.Dense(1, bias_initializer=start, name="advert_bias", **_small(config))(z)]
    ids = []
    for block in pairs.right.codes:  # the effect c of an id; row 0 is for ids never seen
        code = keras.Input((), dtype="int32", name=f"advert_{block.name}")
        bias.append(
            layers.Embedding(
                block.width + 1,
                1,
                embeddings_initializer="zeros",
                embeddings_regularizer=_l2(config),
                name=f"bias_{block.name}",
            )(code)
        )
        ids.append(code)
    namesake_weights = layers.EinsumDense(
        "nk,k->nk", width, kernel_initializer="zeros", kernel_regularizer=_l2(config), name="namesakes"
    )
    vector = layers.Concatenate(name="advert_vector")(
        [_perceptron(z, "advert", config, seed), namesake_weights(layers.Rescaling(SPEED, name="shows_scaled")(shows))]
    )
    return [z, shows, *ids], [vector, layers.Add(name="advert_sum")(bias) if len(bias) > 1 else bias[0]]


def _perceptron(x, tower: str, config: NetworkConfig, seed: int):
    """Layers from [n, k] to [n, VECTOR_LENGTH], all named, because Keras' counters differ between runs of a process."""
    from keras import layers

    for depth, width in enumerate(config.hidden):
        x = layers.Dense(width, activation="gelu", kernel_regularizer=_l2(config), name=f"{tower}_hidden{depth}")(x)
        x = layers.Dropout(DROPOUT, seed=seed + depth, name=f"{tower}_dropout{depth}")(x)
    # one tower starts at 0, so that the first products are 0; with both at 0 all gradients would be 0
    initializer = "zeros" if tower == "person" else "glorot_uniform"
    return layers.Dense(
        VECTOR_LENGTH, kernel_initializer=initializer, kernel_regularizer=_l2(config), name=f"{tower}_space"
    )(x)


def _small(config: NetworkConfig) -> dict:
    """Settings of every linear part: zero initial weights and an L2 penalty."""
    return {"kernel_initializer": "zeros", "kernel_regularizer": _l2(config)}


def _l2(config: NetworkConfig):
    import keras

    return keras.regularizers.L2(config.l2)


def _loss():
    import keras

    return keras.losses.BinaryCrossentropy(from_logits=True)


@dataclass(frozen=True)
class _Inputs:
    """Each tower's inputs, a row per distinct impression or creative, and the pairs of these rows."""

    person: tuple[np.ndarray, ...]
    advert: tuple[np.ndarray, ...]
    pairs: Pairs

    def batch(self, rows: np.ndarray) -> list[np.ndarray]:
        """The model's inputs for the pairs `rows`, int64 [b]: arrays [b, ...]."""
        person = [array[self.pairs.row[rows]] for array in self.person]
        advert = [array[self.pairs.column[rows]] for array in self.advert]
        values = [self.pairs.values[rows]] if self.pairs.names else []
        return [*person, *advert, *values]


def _one_pass(model, inputs: _Inputs, click: np.ndarray, batch_size: int, rng: np.random.Generator) -> float:
    """Train `model` for one shuffled epoch and return its mean loss. All batches have one size: one compiled step."""
    size = min(batch_size, len(click))
    order = rng.permutation(len(click))
    losses = []
    for start in range(0, len(click) - size + 1, size):
        rows = order[start : start + size]
        target = click[rows].astype(np.float32)[:, None]
        losses.append(float(model.train_on_batch(inputs.batch(rows), target)))
    return float(np.mean(losses))


def _surely_better(losses: np.ndarray, start_losses: np.ndarray) -> bool:
    """Whether the losses are on average more than one standard error below `start_losses`, those of the base rate.

    The best of several epochs is a little better by chance even where there is nothing to learn (the one-standard-error
    rule: Breiman et al. 1984, 3.4.3).
    """
    gain = start_losses - losses
    return bool(gain.mean() > gain.std() / np.sqrt(len(gain)))


def _losses(model, inputs: _Inputs, rows: np.ndarray, click: np.ndarray) -> np.ndarray:
    """Log loss of the pairs `rows`, int64 [n], whose clicks are 0/1 [n]: float64 [n]."""
    batches = [rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK)]
    logits = np.concatenate([np.asarray(model(inputs.batch(batch), training=False))[:, 0] for batch in batches])
    probability = 1.0 / (1.0 + np.exp(-logits.astype(np.float64)))
    probability = np.clip(probability, 1e-9, 1 - 1e-9)
    return -np.where(click > 0, np.log(probability), np.log1p(-probability))


def _namesakes(pairs: PairMap) -> tuple[tuple[str, str], ...]:
    """(impression block, creative block) of each pair of blocks with the same column names."""
    return tuple(dict.fromkeys((term.left, term.right) for term in pairs.terms if term.how in (ALONG, MATCH)))


def _person_blocks(pairs: PairMap, rows: pd.DataFrame) -> dict[str, np.ndarray]:
    return pairs.left.encode(rows, tuple(block.name for block in pairs.left.all))


def _person_inputs(pairs: PairMap, x: Mapping[str, np.ndarray]) -> tuple[np.ndarray, ...]:
    """The inputs of the tower of n impressions, from their blocks float32 [n, k]."""
    likes = join_columns([x[left] for left, _ in _namesakes(pairs)], len(x[ONE]))
    return join_columns([x[block.name] for block in pairs.left.all], len(x[ONE])), likes


def _advert_inputs(pairs: PairMap, creatives: pd.DataFrame) -> tuple[np.ndarray, ...]:
    names = tuple(block.name for block in pairs.right.numbers)
    z = pairs.right.encode(creatives, names)
    shows = join_columns([z[right] for _, right in _namesakes(pairs)], len(creatives))
    ids = [(block.codes(creatives) + 1).astype(np.int32) for block in pairs.right.codes]
    return join_columns([z[name] for name in names], len(creatives)), shows, *ids


def _pair_slopes(model) -> np.ndarray:
    """r, float64 [pairs], of the values as they are; networks of release 0.1 do not scale them."""
    scaled = any(layer.name == "pair_values_scaled" for layer in model.layers)
    return model.get_layer("pair_slopes").get_weights()[0][:, 0].astype(np.float64) * (SPEED if scaled else 1.0)


def _compiled(tower):
    """A Keras tower as a graph of TensorFlow, which takes a quarter of the time for one row; on JAX as it is."""
    import keras

    if keras.backend.backend() != "tensorflow":
        return tower
    import tensorflow

    return tensorflow.function(tower, reduce_retracing=True)


def _run(tower, inputs: tuple[np.ndarray, ...]) -> Tower:
    """The outputs of a Keras tower for all rows, computed in chunks."""
    vectors, bias = [], []
    for start in range(0, len(inputs[0]), CHUNK):
        # called as a function: predict_on_batch compiles each model anew, and TensorFlow warns of it on the screen
        vector, tower_bias = tower([array[start : start + CHUNK] for array in inputs], training=False)
        vectors.append(np.asarray(vector))
        bias.append(np.asarray(tower_bias)[:, 0].astype(np.float64))
    return Tower(np.concatenate(vectors), np.concatenate(bias))
