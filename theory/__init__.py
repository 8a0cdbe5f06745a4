"""What is true: models as frozen dataclasses of parameters, pure functions of arrays."""
