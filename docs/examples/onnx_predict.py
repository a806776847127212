"""Answer raw rows with an exported model, without torch.

Use: python docs/examples/onnx_predict.py exports/docstrings < rows.jsonl
Each line is a row as JSON, such as {"docstring": "Solve a linear system."}. The answers are those of `retrain predict`.
"""

import json
import sys
from pathlib import Path

from retrain.data import encoders
from retrain.data.raw_rows import columns_of
from retrain.data.reading.file_format import Format
from retrain.models import description

import numpy as np
import onnxruntime

folder = Path(sys.argv[1])
model = description.read(folder)
encoder = encoders.load(model.encoder.name, "model.json").Encoder.from_json(model.encoder.learned)
session = onnxruntime.InferenceSession(folder / "model.onnx")

given = [json.loads(line) for line in sys.stdin] or sys.exit("no rows on standard input")
rows = columns_of(given, encoder, model.prepare.repairs, Format(**model.prepare.written))
gather = getattr(encoder, "gather_to_predict", encoder.gather)
batch = gather(encoder.encode(rows), np.arange(len(given)))
inputs = {one.name: array for one, array in zip(session.get_inputs(), batch, strict=True)}
outputs = [output.tolist() for output in session.run(None, inputs)]

names, classes = [one.name for one in session.get_outputs()], model.task.learned.get("classes")
for row in zip(*outputs, strict=True):
    answer = dict(zip(names, row, strict=True))
    if classes:
        answer = {"label": classes[row[0]], "probabilities": dict(zip(classes, row[1], strict=True))}
    print(json.dumps(answer, ensure_ascii=False))
