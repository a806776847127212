"""Retrain: a PyTorch training workflow that anyone can run again and get the same model."""

import os

from retrain.environment import enter_project_environment

os.environ.setdefault(
    "PYDANTIC_DISABLE_PLUGINS", "__all__"
)  # the lock file has none, and each start would look for them
enter_project_environment()
