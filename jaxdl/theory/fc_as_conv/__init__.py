"""Question 2.3, a fully connected layer as a convolution: formulas and checks."""

from jaxdl.theory import shapes
from jaxdl.theory.answer import Answer, Note, text
from jaxdl.theory.fc_as_conv.formulas import Settings as Settings
from jaxdl.theory.fc_as_conv.formulas import Sides as Sides
from jaxdl.theory.fc_as_conv.formulas import connections as connections
from jaxdl.theory.fc_as_conv.formulas import dense_of_kernel as dense_of_kernel
from jaxdl.theory.fc_as_conv.formulas import kernel_of_dense as kernel_of_dense


def answer(settings: Settings, note: Note) -> Answer:
    """Check both directions in float64, then slide a trained classifier over a scene.

    Args:
      settings: sizes of the checks.
      note: receives progress messages.

    Returns:
      Text, claims, figures and tables of the page.
    """
    from jaxdl.theory.fc_as_conv import checks, figures, scores, sliding

    note('comparing outputs and gradients')
    claims = [
        *checks.dense_as_convolution(settings.seed, kernel_of_dense),
        *checks.dense_at_each_pixel(settings.seed, kernel_of_dense),
        *checks.convolution_as_dense(settings.seed, dense_of_kernel, connections),
    ]
    classifier, groups = sliding.train(settings.seed, settings.epochs, note)
    note('sliding over the scene')
    scene = sliding.scene_of(classifier, settings.digits, settings.seed)
    slid = sliding.slide(classifier, scene, kernel_of_dense)
    seconds = sliding.seconds(classifier, scene, kernel_of_dense, settings.rounds)
    values = checks.numbers(claims) | scores.numbers(classifier, scene, slid, seconds)
    claims += scores.measure(
        classifier, scene, slid, shapes.conv_output_size, shapes.pool_output_size
    )
    claims += scores.speed_claims(seconds)
    blocks = [figures.matrix(dense_of_kernel), figures.score_map(scene, slid.map)]
    return Answer(text('fc_as_conv', **values), claims, blocks, groups)
