"""Any number of rows like some real ones: as long, of the same words, and with pairs that repeat as the real pairs do.

Words are drawn one after the other, each by the one before it, from interpolated Kneser-Ney probabilities (Kneser and Ney
1995, the plain case of Teh's Pitman-Yor model, 2006): mostly a word that has followed in the real rows, else one that
follows many different words, else a new one. So new words and pairs keep coming, ever more slowly, as in real text.
`generator.py ROWS.parquet COUNT FILE.csv` writes some; `generator.py ROWS.parquet` compares real and generated ones.
"""

import re
import sys
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import pandas as pd

TOKEN = re.compile(r"\w+|[^\w\s]|(?<= ) (?! )")
"""What the encoder `ngrams` tells apart: a word, a mark, a double space."""
NONE = -1
ROWS_AT_ONCE = 20_000


class Followers:
    """What came after each of some contexts, drawn as often as it did, less a discount that is left to another table."""

    def __init__(self, contexts, words, count):
        order = np.lexsort((words, contexts))
        contexts, self.words = contexts[order], words[order]
        self.begins = np.searchsorted(contexts, np.arange(count + 1))
        first = np.flatnonzero(np.diff(contexts, prepend=NONE) | np.diff(self.words, prepend=NONE))
        times = np.diff(first, append=len(words))
        once, twice = (times == 1).sum(), (times == 2).sum()
        discount = once / (once + 2 * twice)  # the estimate of Ney, Essen and Kneser, 1994
        self.left = np.repeat(discount / times, times)
        self.distinct = contexts[first], self.words[first]

    def draw(self, contexts, draws):
        """A follower of each context, or NONE where another table has to say."""
        begins, counts = self.begins[contexts], np.diff(self.begins)[contexts]
        places = np.minimum(begins + (draws.random(len(contexts)) * counts).astype(np.int64), len(self.words) - 1)
        stays = (counts > 0) & (draws.random(len(contexts)) >= self.left[places])
        return np.where(stays, self.words[places], NONE)


class Generator:
    """Learns from a table of real rows, whose last column is the class; draws new ones."""

    def __init__(self, rows):
        *self.columns, self.target = rows.columns
        self.classes, classes = np.unique(rows[self.target].astype(str), return_inverse=True)
        texts = {name: [TOKEN.findall(text.lower()) for text in rows[name]] for name in self.columns}
        self.vocabulary = sorted({token for column in texts.values() for text in column for token in text})
        numbers = {token: number for number, token in enumerate(self.vocabulary)}
        self.start = len(self.vocabulary)  # the context of a text's first word
        self.unknown = self.start + 1  # any new word
        self.row_classes = classes
        self.lengths = np.array([[len(text) for text in texts[name]] for name in self.columns])

        # Class and column decide together with the word before; then this word alone; then nothing.
        kinds, before, words = [], [], []
        for column, name in enumerate(self.columns):
            ids = np.array([numbers[token] for text in texts[name] for token in text])
            lengths = self.lengths[column]
            earlier = np.roll(ids, 1)
            earlier[(np.cumsum(lengths) - lengths)[lengths > 0]] = self.start
            kinds.append(np.repeat(classes * len(self.columns) + column, lengths))
            before.append(earlier)
            words.append(ids)
        kinds, before, words = map(np.concatenate, (kinds, before, words))
        size = self.unknown + 1
        in_kind = Followers(kinds * size + before, words, size * len(self.columns) * len(self.classes))
        contexts, words = in_kind.distinct
        anywhere = Followers(contexts % size, words, size)
        contexts, words = anywhere.distinct
        self.tables = in_kind, anywhere, Followers(np.zeros_like(contexts), words, 1)

        # Heaps' law: distinct words grow by this power of the rows.
        half = {token for column in texts.values() for text in column[::2] for token in text}
        self.power = np.log2(len(self.vocabulary) / len(half))

    def rows(self, count, seed):
        """So many rows, in tables of some thousands; with a larger count more tables follow the same ones."""
        for begin in range(0, count, ROWS_AT_ONCE):
            draws = np.random.default_rng([seed, begin])
            # A real row each, for its class and lengths.
            models = draws.integers(len(self.row_classes), size=min(ROWS_AT_ONCE, count - begin))
            classes = self.row_classes[models]
            texts = {
                name: self.texts(classes * len(self.columns) + column, self.lengths[column, models], draws)
                for column, name in enumerate(self.columns)
            }
            yield pd.DataFrame({**texts, self.target: self.classes[classes]})

    def texts(self, kinds, lengths, draws):
        """A text for each kind (class and column) and length, in tokens."""
        order = np.argsort(-lengths, kind="stable")  # the texts that have a next token are the first ones
        kinds, lengths = kinds[order], lengths[order]
        tokens = np.full((len(lengths), lengths.max(initial=0)), NONE)
        before = np.full(len(lengths), self.start)
        for where in range(tokens.shape[1]):
            longer = np.searchsorted(-lengths, -where)
            before = tokens[:longer, where] = self.next(kinds[:longer], before[:longer], draws)
        flat = iter(self.spelled(tokens[tokens != NONE]))
        written = np.empty(len(lengths), dtype=object)
        written[order] = [" ".join(islice(flat, length)) for length in lengths]
        return written

    def next(self, kinds, before, draws):
        """The words after some words, in texts of these kinds."""
        before = np.minimum(before, self.unknown)
        words = np.full(len(before), NONE)
        contexts = kinds * (self.unknown + 1) + before, before, np.zeros_like(before)
        for table, context in zip(self.tables, contexts, strict=True):
            open_ = np.flatnonzero(words == NONE)
            words[open_] = table.draw(context[open_], draws)
        # New words continue the law of the known ones: where words grow by a power, the one at rank r has r ** (-1 / power).
        open_ = np.flatnonzero(words == NONE)
        ranks = (self.unknown + 1) * (1 - draws.random(len(open_))) ** (-self.power / (1 - self.power))
        words[open_] = ranks.astype(np.int64)
        return words

    def spelled(self, numbers):
        """The tokens of these numbers."""
        distinct, places = np.unique(numbers, return_inverse=True)
        spelled = [self.vocabulary[number] if number < self.start else new_word(number) for number in distinct]
        return np.array(spelled, dtype=object)[places].tolist()


def new_word(number):
    """A word of letters for a number, as no real row has it."""
    letters = "qx"
    while number:
        number, letter = divmod(number, 26)
        letters += chr(97 + letter)
    return letters


def compare(real, generator):
    """Print, for growing parts of both tables, how many distinct words, pairs and features there are: Markdown."""
    generated = pd.concat(generator.rows(30 * ROWS_AT_ONCE, seed=1), ignore_index=True)
    shuffled = real.sample(frac=1, random_state=1, ignore_index=True)
    print("| rows | | words | pairs | features kept | features per row | in the 10,000 most frequent |")
    print("|---|---|---|---|---|---|---|")
    for count in (5_000, 10_000, 20_000, 40_000, 67_000, 200_000, 600_000):
        for name, table in (("real", shuffled), ("generated", generated)):
            if count <= len(table):
                words, pairs, features, per_row, leading = figures(table[:count])
                print(f"| {count:,} | {name} | {words:,} | {pairs:,} | {features:,} | {per_row:.1f} | {leading:.1%} |")


def figures(table):
    """Distinct words, pairs and features of a table; features per row; the share of the 10,000 most frequent in them."""
    from retrain import params, schema
    from retrain.data.encoders import ngrams

    *columns, target = table.columns
    words, pairs = set(), set()
    for text in table[columns].to_numpy().ravel():
        tokens = TOKEN.findall(text.lower())
        words.update(tokens)
        pairs.update(pairwise(tokens))
    block = params.dataset_block(Path(__file__).resolve().parents[1], "ag_news")
    parameters = schema.check(block["split"]["encoder"], ngrams.Parameters, "split.encoder")
    encoder, arrays = ngrams.Encoder.fit_encode(table[columns], pd.factorize(table[target])[0], parameters)
    times = np.sort(np.bincount(arrays["features"]))[::-1]
    return len(words), len(pairs), encoder.size, times.sum() / len(table), times[:10_000].sum() / times.sum()


def main():
    """Write rows, or compare."""
    real = pd.read_parquet(sys.argv[1])
    generator = Generator(real)
    if sys.argv[2:]:
        for number, rows in enumerate(generator.rows(int(sys.argv[2]), seed=1)):
            rows.to_csv(sys.argv[3], mode="a" if number else "w", header=not number, index=False)
    else:
        compare(real, generator)


if __name__ == "__main__":
    main()
