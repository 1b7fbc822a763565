"""Seeds of the networks of a fine-tuning, alone or as a run of a study."""

APART = 10_000  # distance of the further seeds of one run: beyond all evaluation seeds of a study


def network_seed(first: int, number: int) -> int:
    """Seed of a network of a run.

    Args:
      first: seed of the run: 0 of a fine-tuning by itself, an evaluation seed within a study.
      number: number of the network, from 0.

    Returns:
      `number` for the first seed 0. Within a study the next numbers are other evaluation seeds, so
      that further networks have seeds far from all of them.

    Examples:
      >>> network_seed(0, 2), network_seed(1001, 0), network_seed(1001, 2)
      (2, 1001, 21001)
    """
    return first + number * (APART if first else 1)
