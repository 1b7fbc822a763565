"""Networks of a fine-tuning: one per fold and seed, combined, trained on all images in the end."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxdl.data import Splits, bursts
from jaxdl.data.batches import Feed
from jaxdl.finetune import loop, probe, setup
from jaxdl.finetune.loop import TrainedNetwork, TrainingJob
from jaxdl.finetune.probe import ProbeResult
from jaxdl.finetune.records import FinalNetworks, FineTuneRun
from jaxdl.finetune.seeds import network_seed
from jaxdl.inference import tta
from jaxdl.models.network import Network
from jaxdl.runtime import distributed
from jaxdl.statistics import classification
from jaxdl.train import averaging, train_step


class Validated(NamedTuple):
    """A trained network, and the images that its training held out.

    Attributes:
      network: the network.
      held_out: int [n].
      probe_predicted: int [n], classes of the held-out images by the initial head; None if that is
        not a probe.
    """

    network: TrainedNetwork
    held_out: np.ndarray
    probe_predicted: np.ndarray | None


def train_networks(run: FineTuneRun, probe_result: ProbeResult) -> list[Validated]:
    """Train one network per fold and seed, folds first."""
    recipe, labels = run.experiment.finetune, run.dataset.labels
    labelled = np.union1d(run.splits.train, run.splits.val)
    networks = []
    for fold, held_out in enumerate(_folds(run, labelled), 1):
        train = np.setdiff1d(labelled, held_out)
        head = _initial_head(run, probe_result, train, held_out)
        fitted = recipe.start == 'probe'
        predicted = _predict_by_probe(run, probe_result, head, held_out) if fitted else None
        network, head = setup.rescale_features(run.network, head, run.features[train])
        module, variables = setup.add_head(network, head)
        for seed in range(recipe.seeds):
            parts = ['finetune']
            parts += [f'fold {fold}'] if recipe.folds > 1 else []
            parts += [f'seed {seed}'] if recipe.seeds > 1 else []
            job = dataclasses.replace(
                _job(run, ', '.join(parts), train, network_seed(run.seed, seed)),
                evaluate=_Evaluation(run, module, held_out),
                labels=labels[held_out],
            )
            trained = loop.train_network(
                run.context, job, module, variables, run.experiment.variant, recipe
            )
            networks.append(Validated(trained, held_out, predicted))
    return networks


def probe_network(
    run: FineTuneRun, result: ProbeResult, *, on_all_images: bool = True
) -> FinalNetworks:
    """The probe as a network.

    The validation logits are those of the head that is fitted on the training images alone.

    Args:
      run: the run.
      result: the fitted probe.
      on_all_images: whether the head is fitted on training and validation images, or on the
        training images alone.
    """
    head = result.head if on_all_images else result.head_train_only
    _, variables = setup.add_head(run.network, head)
    card = dataclasses.replace(
        run.card,
        adjustment=tuple(result.adjustments.tolist()) if result.adjustment else (),
        views='flip' if run.experiment.probe.flips else 'none',
    )
    indices, split, validation = run.splits.val, 'val', None
    logits = classification.log_softmax(result.val_logits - result.adjustments)
    if len(run.splits.test):
        validation = logits, indices
        labels = run.dataset.labels[indices]
        temperature = classification.fit_temperature(logits, labels)
        card = dataclasses.replace(card, temperature=temperature)
        indices, split = run.splits.test, 'test'
        logits = probe.log_probabilities(head, run.features[indices])
        logits = classification.log_softmax(logits - result.adjustments)
    logits = np.asarray(logits, np.float32)
    return FinalNetworks([variables], card, logits, indices, split, validation=validation)


def combine_networks(
    run: FineTuneRun, probe_result: ProbeResult, networks: Sequence[Validated]
) -> FinalNetworks:
    """The networks of all folds and seeds, or their soup, and their predictions.

    The predictions are of validation images before the final training on them; of test images,
    where there are such, after it.
    """
    recipe, card = run.experiment.finetune, run.card
    module = _classifier(run)
    members = [trained.network.variables for trained in networks]
    if recipe.average == 'soup' and len(members) > 1:
        members = [_soup(run, module, members)]
    if recipe.folds > 1:
        indices, logits, probe_predicted = _predict_folds(run, module, networks)
    else:
        indices = run.splits.val
        logits = _predict(run, module, members, indices)
        head = probe_result.head_train_only
        probe_predicted = _predict_by_probe(run, probe_result, head, indices)
    if not len(run.splits.test):
        split = 'folds' if recipe.folds > 1 else 'val'
        members = _train_on_all_images(run, module, members)
        return FinalNetworks(members, card, logits, indices, split, probe_predicted)
    temperature = classification.fit_temperature(logits, run.dataset.labels[indices])
    validation = logits, indices
    members = _train_on_all_images(run, module, members)
    indices = run.splits.test
    logits = _predict(run, module, members, indices)
    card = dataclasses.replace(card, temperature=temperature)
    all_images = recipe.folds > 1 or recipe.refit_epochs
    head = probe_result.head if all_images else probe_result.head_train_only
    probe_predicted = _predict_by_probe(run, probe_result, head, indices)
    return FinalNetworks(members, card, logits, indices, 'test', probe_predicted, validation)


def make_feed(run: FineTuneRun, indices: np.ndarray, seed: int) -> Feed:
    """Batches of some images, in the order of a seed."""
    dataset, balanced = run.dataset, run.experiment.finetune.imbalance == 'balanced'
    size = run.experiment.variant.batch_size
    return Feed(dataset.images, dataset.labels, indices, size, seed, balanced)


@dataclasses.dataclass(frozen=True)
class _Evaluation:
    """Log-probabilities [n, classes] of held-out images, without test-time augmentation."""

    run: FineTuneRun
    module: Network
    indices: np.ndarray

    def __call__(self, variables: Mapping[str, Any]) -> np.ndarray:
        card = dataclasses.replace(self.run.card, views='none')
        members = [jax.tree.map(np.asarray, variables)]
        images = self.run.dataset.images
        return tta.log_probabilities(self.module, members, card, images, self.indices)


def _job(run: FineTuneRun, name: str, train: np.ndarray, seed: int) -> TrainingJob:
    """A training without held-out images."""
    labels, classes = run.dataset.labels[train], len(run.class_names)
    shares = np.asarray(train_step.class_shares(labels, classes))
    return TrainingJob(name, make_feed(run, train, seed), shares, None, None)


def _folds(run: FineTuneRun, labelled: np.ndarray) -> list[np.ndarray]:
    """Held-out images of each fold; with one fold, the validation images."""
    folds, labels = run.experiment.finetune.folds, run.dataset.labels
    if folds == 1:
        return [run.splits.val]
    groups = np.asarray(run.dataset.groups or np.arange(len(labels)))[labelled]
    seed = run.experiment.data.split_seed
    return [labelled[indices] for indices in bursts.folds(labels[labelled], groups, folds, seed)]


def _initial_head(
    run: FineTuneRun, result: ProbeResult, train: np.ndarray, held_out: np.ndarray
) -> Mapping[str, np.ndarray]:
    """The head that a training begins with; it was fitted without the held-out images."""
    if run.experiment.finetune.start != 'probe':
        return setup.zero_head(run.network, len(run.class_names))
    if run.experiment.finetune.folds == 1:
        return result.head_train_only
    splits = Splits(np.sort(train), held_out, held_out[:0])
    return distributed.broadcast_arrays(
        probe.fit_head(run.experiment, run.dataset, splits, run.features, result, seed=run.seed)
    )


def _classifier(run: FineTuneRun) -> Network:
    return run.network.module.clone(num_classes=len(run.class_names))


def _predict(
    run: FineTuneRun, module: Network, members: Sequence[Any], indices: np.ndarray
) -> np.ndarray:
    return tta.log_probabilities(module, members, run.card, run.dataset.images, indices)


def _predict_by_probe(
    run: FineTuneRun, result: ProbeResult, head: Mapping[str, np.ndarray], indices: np.ndarray
) -> np.ndarray:
    """Classes, int [n], that a head on the frozen features predicts, adjusted as the probe."""
    logits = probe.log_probabilities(head, run.features[indices]) - result.adjustments
    return np.argmax(logits, 1)


def _predict_folds(
    run: FineTuneRun, module: Network, networks: Sequence[Validated]
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Each image by the networks of the fold that held it out.

    Returns:
      Indices [n], log-probabilities [n, classes], and classes predicted by the probe of that fold
      [n]; None without a probe per fold.
    """
    seeds = run.experiment.finetune.seeds
    folds = [networks[i : i + seeds] for i in range(0, len(networks), seeds)]
    indices = [fold[0].held_out for fold in folds]
    logits = [
        _predict(run, module, [trained.network.variables for trained in fold], fold[0].held_out)
        for fold in folds
    ]
    by_probe = [fold[0].probe_predicted for fold in folds]
    predicted = [classes for classes in by_probe if classes is not None]
    probe_predicted = np.concatenate(predicted) if predicted else None
    return np.concatenate(indices), np.concatenate(logits), probe_predicted


def _train_on_all_images(run: FineTuneRun, module: Network, members: list[Any]) -> list[Any]:
    """The networks after the final training on train + validation, by a schedule of its own.

    Networks of folds are unchanged: each image was trained on by some of them.
    """
    recipe = run.experiment.finetune
    if not recipe.refit_epochs or recipe.folds > 1:
        return members
    short = dataclasses.replace(
        recipe, epochs=recipe.refit_epochs, sizes=(), fix_epochs=0, unfreeze_epochs=0.0, patience=0
    )
    labelled, trained = np.union1d(run.splits.train, run.splits.val), []
    for number, member in enumerate(members, 1):
        name = 'finetune, all images'
        name += f', network {number}' if len(members) > 1 else ''
        # an order that no training before has had
        seed = network_seed(run.seed, recipe.seeds + number - 1)
        job, settings = _job(run, name, labelled, seed), run.experiment.variant
        network = loop.train_network(run.context, job, module, member, settings, short)
        trained.append(network.variables)
    return trained


def _soup(run: FineTuneRun, module: Network, members: Sequence[Any]) -> Any:
    """The greedy soup of some networks by the metric on the validation images."""
    evaluate, labels = _Evaluation(run, module, run.splits.val), run.dataset.labels[run.splits.val]

    def score(variables: Any) -> float:
        scores = classification.scores(evaluate(variables), labels)
        return loop.select_metric(scores, run.experiment.finetune)

    variables, chosen = averaging.average_greedily(list(members), score)
    run.context.note('soup', chosen=[int(i) for i in chosen])
    return jax.tree.map(np.asarray, variables)
