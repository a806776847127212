"""A fastText model behind the least that answers over HTTP: an ASGI application without checks, on the server that we use.

`serving_fasttext.py MODEL PORT`, in the environment of requirements.txt. Its rows are texts as in others.py.
"""

import re
import sys

import fasttext
import orjson
import uvicorn

PUNCTUATION = re.compile(r"([^\w\s])")


def spaced(text):
    """Lower case, punctuation between spaces, as in others.py."""
    return " ".join(PUNCTUATION.sub(r" \1 ", text.lower()).split())


class App:
    """Answers every request with the label and the probabilities of each text."""

    def __init__(self, model):
        self.model = model

    async def __call__(self, scope, receive, send):
        """Answer a request."""
        body, more = b"", True
        while more:
            message = await receive()
            body += message["body"]
            more = message["more_body"]
        texts = orjson.loads(body)["inputs"] if body else ["a text"]
        labels, chances = self.model.predict([spaced(text) for text in texts], k=-1)
        answers = [
            {"label": one[0], "probabilities": dict(zip(one, row.tolist(), strict=True))}
            for one, row in zip(labels, chances, strict=True)
        ]
        content = orjson.dumps({"predictions": answers})
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": content})


if __name__ == "__main__":
    uvicorn.run(App(fasttext.load_model(sys.argv[1])), port=int(sys.argv[2]), log_level="error", lifespan="off")
