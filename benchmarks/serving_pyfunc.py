"""The model of a folder as MLflow's pyfunc, from code: what `mlflow models serve` answers with in serving.py."""

import mlflow


class Pyfunc(mlflow.pyfunc.PythonModel):
    """Answers with the objects that our server sends."""

    def load_context(self, context):
        """Load the model."""
        import retrain

        self.model = retrain.load(context.artifacts["model"])

    def predict(self, context, model_input, params=None):
        """The answers to a table."""
        return self.model.predict(model_input)


mlflow.models.set_model(Pyfunc())
