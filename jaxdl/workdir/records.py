"""Record classes of plan.json, run.json and checkpoints, checked field by field on reading."""

import dataclasses
import pathlib
import typing
from collections.abc import Mapping
from typing import Any

from jaxdl import fields
from jaxdl.errors import InputError
from jaxdl.workdir import files

Record = typing.TypeVar('Record')
FINAL = 'further seeds'  # stage of a search


@dataclasses.dataclass(frozen=True)
class Devices:
    """Devices of all processes of a run."""

    platform: str
    kind: str
    count: int


@dataclasses.dataclass(frozen=True)
class DataPlan:
    """Data of one condition, or of a fine-tuning.

    Attributes:
      classes: class names, in the order of the labels.
      image_shape: height, width and channels.
      train: number of training images; the smallest of several splits.
      val: number of validation images.
      test: number of test images.
      checksum: SHA-256 of all images and labels.
      decoder: the image decoder; empty where no file was decoded.
      findings: result of the check of the data (`jaxdl.data.audit.examine`).
      split: how the splits were drawn; fine-tuning only.
      unlabelled: number of images to predict; fine-tuning only.
      fit: how files became square images.
    """

    name: str
    description: str
    classes: tuple[str, ...]
    image_shape: tuple[int, ...]
    train: int
    val: int
    test: int
    checksum: str
    decoder: str = ''
    findings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    split: str | None = None
    unlabelled: int | None = None
    fit: str = 'crop'


@dataclasses.dataclass(frozen=True)
class GroupPlan:
    """Planned layout of a group: members that share one compiled program.

    Attributes:
      members: number of members, in all chunks.
      steps: training steps of each member.
      sides: rows and columns of members that each device trains at the same time.
      chunks: number of chunks.
      limit: most members that each device trains at the same time.
      cores: cores of a device that train one member each; 1 on an accelerator.
      member_bytes: memory of one member in training.
      conv: lowering of the convolutions; `none` for a network without convolutions.
      stage: of a search: empty for its points, FINAL for the best points on further seeds,
        `rung 1`, `rung 2`, ... where points stop early.
    """

    condition: str
    phase: str
    options: tuple[str, ...]
    members: int
    steps: int
    batch_size: int
    sides: tuple[int, ...]
    chunks: int
    limit: int
    cores: int
    member_bytes: int
    conv: str
    stage: str = ''


@dataclasses.dataclass(frozen=True)
class SearchRange:
    """Range of a hyperparameter of an option.

    Attributes:
      scale: `log` or `linear`.
      low: smallest planned value.
      high: largest planned value.
      lowest: smallest value that the range may grow to.
      highest: largest value that the range may grow to.
    """

    scale: str
    low: float
    high: float
    lowest: float
    highest: float


@dataclasses.dataclass(frozen=True)
class SearchPlan:
    """Search of the hyperparameters of one condition.

    Attributes:
      fields: names of the coordinates of the points.
      trials: number of points of every option.
      further: number of further points of every option, each time that ranges grow.
      scramble: seed of the scrambled Sobol sequence.
      points: unit points, [trials and further points][field].
      ranges: option -> field -> range; a field that an option sets is not searched for it.
      late: options of an extension. They take as many points as the others ended with.
      rungs: epochs after which points stop, then the last epoch; empty without halving.
      halving: of so many points of an option one continues after a rung.
    """

    fields: tuple[str, ...]
    trials: int
    further: int
    scramble: int
    points: tuple[tuple[float, ...], ...]
    ranges: Mapping[str, Mapping[str, SearchRange]]
    late: tuple[str, ...] = ()
    rungs: tuple[int, ...] = ()
    halving: int = 0


@dataclasses.dataclass(frozen=True)
class MetricPlan:
    """A metric of an ablation, as a report needs it without the file that registers the metric.

    Attributes:
      lower_is_better: direction.
      over: `image` or `split`, as in `jaxdl.statistics.metrics.Metric`.
    """

    lower_is_better: bool
    over: str


@dataclasses.dataclass(frozen=True)
class Extension:
    """Growth of a finished ablation, appended to plan.json before its first step.

    Attributes:
      command: the command line; empty for an extension that Python started.
      config: content of config.json after the extension.
      options: added options.
      conditions: added conditions.
      seeds: earlier condition -> added evaluation seeds.
      plan: groups of the added members, and data and searches of which the plan has none before.
    """

    date: str
    command: str
    config: Mapping[str, Any]
    options: tuple[str, ...]
    conditions: tuple[str, ...]
    seeds: Mapping[str, tuple[int, ...]]
    plan: 'Plan | None' = None

    def adds(self, condition: str, option: str, seed: int | None = None) -> bool:
        """Whether a member is new; without a seed a member of the tuning phase."""
        new = condition in self.conditions or option in self.options
        return new or seed in self.seeds.get(condition, ())

    @property
    def growth(self) -> str:
        """The growth in words: `evaluation seeds 1010 to 1019, option l2`."""
        seeds = dict.fromkeys(self.seeds.values())
        parts = [f'evaluation seed{"s" * (len(s) > 1)} {_format_seeds(s)}' for s in seeds]
        for noun, names in (('option', self.options), ('condition', self.conditions)):
            if names:
                listed = ', '.join(f'"{name}"' if ',' in name else name for name in names)
                parts.append(f'{noun}{"s" * (len(names) > 1)} {listed}')
        return ', '.join(parts)


def _format_seeds(seeds: tuple[int, ...]) -> str:
    """`1010 to 1019`, or a list where numbers are missing between."""
    if len(seeds) > 2 and seeds[-1] - seeds[0] == len(seeds) - 1:
        return f'{seeds[0]} to {seeds[-1]}'
    return ', '.join(map(str, seeds))


@dataclasses.dataclass(frozen=True)
class Plan:
    """plan.json of an ablation, written before the first step.

    Attributes:
      data: condition -> its data.
      cores: cores of the machine.
      versions: package -> version.
      registered: name -> function, file and SHA-256 of components that the user registered.
      defaults: `variant` and `data` -> default values, which tell the non-default settings; also
        `finetune` and `probe` of an ablation of a fine-tuning.
      networks: registered network -> names of the settings that it takes.
      metrics: name of a metric that is measured -> its direction and level.
      search: condition -> search of its hyperparameters; None without a search.
      initial_weights: value of `init_from` -> SHA-256 of its file.
      models: condition -> option -> its pretrained network; of an ablation of a fine-tuning.
      sources: file of the study, or of the user that it imports -> hash of its code
        (`jaxdl.config.sources`).
      extensions: in the order in which the study grew; the last one may be unfinished.
    """

    data: Mapping[str, DataPlan]
    devices: Devices
    cores: int
    versions: Mapping[str, str]
    groups: tuple[GroupPlan, ...]
    registered: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    defaults: Mapping[str, Any] | None = None
    metrics: Mapping[str, MetricPlan] | None = None
    networks: Mapping[str, tuple[str, ...]] | None = None
    search: Mapping[str, SearchPlan] | None = None
    models: Mapping[str, Mapping[str, 'ModelPlan']] | None = None
    initial_weights: Mapping[str, str] | None = None
    sources: Mapping[str, str] = dataclasses.field(default_factory=dict)
    extensions: tuple[Extension, ...] = ()

    def of(self, config: Mapping[str, Any]) -> 'Plan':
        """The plan with the extensions that led to this content of config.json."""
        configs = [extension.config for extension in self.extensions]
        count = configs.index(config) + 1 if config in configs else 0
        return dataclasses.replace(self, extensions=self.extensions[:count])

    def merged(self) -> 'Plan':
        """The plan of the whole study: with the entries of all extensions, without extensions."""
        merged = dataclasses.replace(self, extensions=())
        for extension in self.extensions:
            merged = _merge(merged, extension.plan) if extension.plan else merged
        return merged


def _merge(plan: Plan, added: Plan) -> Plan:
    searches = dict(plan.search or {})
    for condition, search in (added.search or {}).items():
        before = searches.get(condition)
        searches[condition] = search
        if before:
            searches[condition] = dataclasses.replace(
                before,
                ranges={**before.ranges, **search.ranges},
                late=(*before.late, *search.ranges),
            )
    return dataclasses.replace(
        plan,
        data={**plan.data, **added.data},
        groups=(*plan.groups, *added.groups),
        registered={**plan.registered, **added.registered},
        networks={**(plan.networks or {}), **(added.networks or {})} or None,
        search=searches or None,
        initial_weights={**(plan.initial_weights or {}), **(added.initial_weights or {})} or None,
        sources={**plan.sources, **added.sources},
    )


@dataclasses.dataclass(frozen=True)
class Preprocessing:
    """Images that a network expects.

    In evaluation a square of `size` / `crop` pixels is made of the image, and its centre of `size`
    x `size` pixels is cropped.

    Attributes:
      mean: per channel (red, green, blue), of images in [0, 1].
      std: per channel; images are normalised to `(images - mean) / std`.
      size: side in pixels.
      crop: share of the scaled side that is cropped.
      interpolation: filter of the scaling, `bilinear` or `bicubic`.
      fit: how the square is made, a row of `jaxdl.data.decode.FITS`.
    """

    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    size: int = 224
    crop: float = 0.875
    interpolation: str = 'bilinear'
    fit: str = 'crop'


@dataclasses.dataclass(frozen=True)
class ModelPlan:
    """Pretrained network of a fine-tuning.

    Attributes:
      architecture: a row of `models.ARCHITECTURES`.
      weights: file or hub id of the pretrained weights.
      revision: their commit on the hub; empty for a file.
      weights_checksum: SHA-256 of all parameters and statistics.
      train_size: side in pixels of the images in training; 0 for a probe alone.
      eval_size: side in pixels of the input of the final network.
      parameters: number of parameters, without head.
      features: number of features.
      preprocessing: images that the network expects.
      weights_notes: a line per thing that was chosen or passed over in the file of weights.
      weights_licence: licence of the weights; empty where it is unknown.
    """

    architecture: str
    weights: str
    revision: str
    weights_checksum: str
    train_size: int
    eval_size: int
    parameters: int
    features: int
    preprocessing: Preprocessing
    weights_notes: tuple[str, ...] = ()
    weights_licence: str = ''


@dataclasses.dataclass(frozen=True)
class FineTunePlan:
    """plan.json of a fine-tuning.

    Attributes:
      model: the pretrained network.
      steps: `per_epoch` and `total`.
      phases: fields of each `Phase` of the training.
      heads: number of heads of the probe's first grid.
      conv: lowering of the convolutions.
      defaults: dotted name of a setting -> default value, which tells the non-default settings.
    """

    data: DataPlan
    model: ModelPlan
    steps: Mapping[str, int]
    phases: tuple[Mapping[str, Any], ...]
    heads: int
    conv: str
    devices: Devices
    processes: int
    cores: int
    versions: Mapping[str, str]
    defaults: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class GroupRecord:
    """Entry of a trained group in run.json.

    Attributes:
      members: number of members that trained.
      traces: number of times that the training program was traced.
      steps: training steps of each member.
      compile_seconds: sum over the chunks.
      train_seconds: sum over the chunks.
      evaluate_seconds: sum over the chunks.
      conv: lowering of the convolutions; `none` for a network without convolutions.
      stage: as in GroupPlan.
    """

    condition: str
    phase: str
    options: tuple[str, ...]
    members: int
    traces: int
    steps: int
    batch_size: int
    compile_seconds: float
    train_seconds: float
    evaluate_seconds: float
    conv: str
    stage: str = ''


@dataclasses.dataclass(frozen=True)
class RunRecord:
    """run.json: provenance of a run, then its results; None where a kind of run has no such entry.

    Attributes:
      command: the command line; empty for a run that Python started.
      git: revision of the checkout of jaxdl; empty where there is none.
      file: name, SHA-256 and revision of the user's file; empty where there is none.
      seconds: stage -> seconds, and `total`.
      resumed: how often the run was resumed.
      results_rows: rows of results.csv.
      scores: stage -> scores; fine-tuning only.
      images_per_second: training speed; fine-tuning only.
      input_wait: share of the time that training waited for input; fine-tuning only.
      submission: file and number of rows of the submission, number of images that cannot be read
        and the class that they get; fine-tuning only.
    """

    command: str
    git: str
    date: str
    versions: Mapping[str, str]
    device: str
    finished: bool
    file: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    machine: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    native: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    environment: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    seconds: Mapping[str, float] | None = None
    groups: tuple[GroupRecord, ...] | None = None
    resumed: int | None = None
    results_rows: int | None = None
    scores: Mapping[str, Any] | None = None
    images_per_second: float | None = None
    input_wait: float | None = None
    submission: Mapping[str, Any] | None = None


@dataclasses.dataclass(frozen=True)
class ModelCard:
    """Metadata of a checkpoint: all that its networks need to predict, and their provenance.

    Attributes:
      architecture: a row of `models.ARCHITECTURES`.
      class_names: [num_classes], in the order of the outputs.
      eval_size: side in pixels of the input of the network.
      views: test-time augmentation, a row of `config.recipe.VIEWS`.
      temperature: divides the logits; 1 before calibration.
      adjustment: [num_classes], subtracted from the logits; empty for none.
      experiment: name of the experiment.
      weights: file or hub id of the pretrained weights.
      revision: their commit on the hub; empty for a file.
      jaxdl: version of this package.
      split: how the images were split.
      scores: metric -> value of the held-out images, with `split`, `images`, `groups`, `networks`,
        `epoch`, and `intervals`: metric -> 95 % interval for new groups of images.
      decoded_size: side in pixels of decoded images.
      ema: decay of the averaged weights; 0 for none.
      confidences: quantiles of the largest probability of validation images, as of
        `jaxdl.statistics.rejection`; empty for none.
      data: name of the data set.
      weights_licence: licence of the pretrained weights; empty where it is unknown.
    """

    architecture: str
    num_classes: int
    class_names: tuple[str, ...]
    preprocessing: Preprocessing
    eval_size: int
    views: str
    temperature: float
    adjustment: tuple[float, ...]
    experiment: str = ''
    weights: str = ''
    revision: str = ''
    jaxdl: str = ''
    split: str = ''
    scores: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    decoded_size: int = 256
    ema: float = 0.0
    confidences: tuple[float, ...] = ()
    data: str = ''
    weights_licence: str = ''


def read(path: pathlib.Path, kind: type[Record]) -> Record:
    """Read a JSON file of a workdir as a record.

    Args:
      path: the file.
      kind: one of the classes above.

    Returns:
      The record; keys that `kind` does not have are ignored.

    Raises:
      InputError: the file is missing or damaged, lacks a key, or has a value of another type.
    """
    content = files.read_json(path)
    try:
        return parse(kind, content)
    except InputError as error:
        raise InputError(
            f'{path} is damaged ({error}): start the run again with --overwrite'
        ) from None


def parse(kind: type[Record], content: Any, where: str = '') -> Record:
    """Build a record from JSON values.

    Args:
      kind: a dataclass.
      content: a JSON object with a key for every field; fields with a default may lack.
      where: dotted name of `content`, for error messages.

    Returns:
      The record, with records for the objects within it.

    Raises:
      InputError: a key is missing, or a value has another type.

    Examples:
      >>> parse(Devices, dict(platform='cpu', kind='cpu', count=2.0))
      Devices(platform='cpu', kind='cpu', count=2)
      >>> parse(Devices, dict(platform='cpu', kind='cpu'))
      Traceback (most recent call last):
      jaxdl.errors.InputError: it lacks count
    """
    if not isinstance(content, Mapping):
        raise InputError(f'{where or "content"}={content!r}: must be an object of names and values')
    values = {}
    types = typing.get_type_hints(kind)
    missing = []
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]
        name = f'{where}.{field.name}' if where else field.name
        if field.name in content:
            values[field.name] = _convert(types[field.name], content[field.name], name, field)
        elif _required(field):
            missing.append(name)
    if missing:
        raise InputError(f'it lacks {", ".join(missing)}')
    return kind(**values)


def as_json(record: Any) -> dict[str, Any]:
    """Values of a record as JSON has them, without fields that are None.

    Examples:
      >>> as_json(Devices('cpu', 'cpu', 2))
      {'platform': 'cpu', 'kind': 'cpu', 'count': 2}
    """
    values = {f.name: getattr(record, f.name) for f in dataclasses.fields(record)}
    return {name: _plain(value) for name, value in values.items() if value is not None}


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return as_json(value)
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple | list) else value


def _convert(annotation: Any, value: Any, name: str, field: dataclasses.Field[Any]) -> Any:
    inner = typing.get_args(annotation)
    if dataclasses.is_dataclass(annotation):
        return parse(annotation, value, name)  # type: ignore[arg-type]
    if len(inner) == 2 and type(None) in inner:
        return None if value is None else _convert(inner[0], value, name, field)
    if typing.get_origin(annotation) is tuple and isinstance(value, list | tuple):
        return tuple(
            _convert(inner[0], item, f'{name}[{i}]', field) for i, item in enumerate(value)
        )
    if typing.get_origin(annotation) is Mapping and isinstance(value, Mapping):
        if inner[1] is Any:
            return dict(value)
        return {str(k): _convert(inner[1], v, f'{name}.{k}', field) for k, v in value.items()}
    return fields.check(name, field, annotation, value)


def _required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
