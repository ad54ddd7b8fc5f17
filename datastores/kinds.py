"""The kinds of datastores."""

from django.db.models import TextChoices


class Kind(TextChoices):
    """Datasets and models have versions, which never change; a volume is content that jobs write in place."""

    DATASET = "dataset", "Dataset"
    MODEL = "model", "Model"
    VOLUME = "volume", "Volume"


VERSIONED = (Kind.DATASET, Kind.MODEL)
