"""What Lightning says unasked."""


def quiet_lightning() -> None:
    """Leave out Lightning's advice; its errors still show. It sets its own level when imported."""
    import logging
    import warnings

    import pytorch_lightning

    logging.getLogger(pytorch_lightning.__name__).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="pytorch_lightning.*")
