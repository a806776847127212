"""Retrain: a PyTorch training workflow whose results anyone can reproduce."""

import os

from retrain.environment import enter_project_environment, explain_missing_packages

__all__ = []


os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # looking for plugins takes time, and none is installed
explain_missing_packages()
enter_project_environment()
