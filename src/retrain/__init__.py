"""Retrain: a PyTorch training workflow that anyone can run again and get the same model."""

from retrain.environment import enter_project_environment

enter_project_environment()
