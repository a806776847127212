"""The code of a model in MLflow's registry; MLflow runs this file when it loads one. No pickle is involved."""

from typing import TYPE_CHECKING, Any

from retrain import load
from retrain.errors import RetrainError

import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from mlflow.pyfunc.model import PythonModel, PythonModelContext

if TYPE_CHECKING:  # torch must wait for its settings
    from retrain.models.model import Model

__all__ = []


class Scorer(PythonModel):
    """Answers raw rows as `retrain predict` does."""

    model: "Model"

    def load_context(self, context: PythonModelContext) -> None:
        """Read the model from its artifacts: safetensors and JSON."""
        self.model = load(context.artifacts["model"])

    def predict(
        self,
        context: PythonModelContext,
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,
    ) -> pd.DataFrame:
        """The answers: a table with `label` and `probabilities`, or `number`, `low` and `high`.

        Raises:
            MlflowException: a column is missing, or a value is not what its column holds.
        """
        try:
            return pd.DataFrame(self.model.predict(model_input))
        except RetrainError as error:
            raise MlflowException(str(error), INVALID_PARAMETER_VALUE) from None


set_model(Scorer())
