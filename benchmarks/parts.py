"""Where the time of AG News goes: `AG_NEWS_DIR=folder python benchmarks/parts.py` prints a table of parts.

Everything runs in one thread, so that each second belongs to one part, and the parts' seconds add up to the whole. Retrain
otherwise hashes texts and gathers batches in further threads. The bytes are those of all arrays that a part reads or writes,
from their sizes. Of three trainings, the one with the median time is shown. What the processor can do is measured after each of
them, and the best counts: other processes can only make it slower.
"""

import functools
import sys
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from retrain import cli, environment, params, schema

import ag_news
import click

ROOT = Path(__file__).resolve().parents[1]
REPEATS = 3
TEXTS, WORDS, RUNS = "texts to bytes and sums", "words and pairs", "character n-grams"
COUNT, RATIOS, LOOK_UP = "counting by sort", "log ratios", "look-up and scales"
GATHER, SORT, FORWARD, BACKWARD = "gather", "sort of a batch", "forward and loss", "backward"
UPDATE, REST, OUTSIDE = "update", "the rest", "not counted"
FEATURES, LOOP = (TEXTS, WORDS, RUNS, COUNT, RATIOS, LOOK_UP), (GATHER, SORT, FORWARD, BACKWARD, UPDATE)


class Clock:
    """CPU seconds and bytes of each part. A part that begins within another one stops the clock of that one meanwhile."""

    def __init__(self):
        self.seconds, self.bytes, self.items = Counter(), Counter(), Counter()
        self.open, self.since = [OUTSIDE], time.thread_time()

    def switch(self):
        """Give the seconds since the last switch to the part that is open."""
        now = time.thread_time()
        self.seconds[self.open[-1]] += now - self.since
        self.since = now

    @contextmanager
    def part(self, name):
        """Count what happens within as this part."""
        self.switch()
        self.open.append(name)
        try:
            yield
        finally:
            self.switch()
            self.open.pop()

    def add(self, part, moved, items=0):
        """Count what a part moved, and what it sorted or looked up."""
        self.bytes[part] += moved
        self.items[part] += items

    @property
    def whole(self):
        """All seconds that count."""
        return sum(taken for part, taken in self.seconds.items() if part != OUTSIDE)


def timed(clock, part, function, note=None):
    """A function whose time counts as a part; `note` is called with its result and arguments, outside the clock."""

    @functools.wraps(function)
    def measured(*arguments, **named):
        with clock.part(part):
            result = function(*arguments, **named)
        with clock.part(OUTSIDE):
            if note:
                note(result, *arguments)
        return result

    return measured


def timed_steps(clock, part, function):
    """The same for a function that returns a generator."""

    @functools.wraps(function)
    def measured(*arguments):
        steps = function(*arguments)
        while True:
            with clock.part(part):
                step = next(steps, None)
            if step is None:
                return
            yield step

    return measured


class Notes:
    """What each part moved, from the sizes of its arrays: every array that a step of numpy or torch reads or writes."""

    def __init__(self, clock):
        self.clock, self.frequent = clock, 0

    def texts(self, texts, *_):
        """Five passes over strings; bytes times powers, and their cumulative sum."""
        self.clock.add(TEXTS, 51 * len(texts.content))

    def words(self, found, texts):
        """Masks of the bytes; the hash of each word, and its three buckets."""
        self.clock.add(WORDS, 61 * len(texts.content) + 396 * len(found[0]))

    def runs(self, found, texts, *_):
        """The hashes at all places, and the buckets of those within a row."""
        self.clock.add(RUNS, 110 * len(texts.content) + 9 * len(found[0]))

    def count(self, found, chunks, labels, bits, _):
        """Keys of bucket and class, divided into parts and sorted; distinct keys, and distinct buckets."""
        import numpy as np

        self.frequent = len(found[0])
        shift = int(labels.max()).bit_length()
        key, keys, row = np.uint32 if bits + shift <= 32 else np.uint64, [], 0
        for chunk in chunks:
            some = labels[row : row + len(chunk[0][1])].astype(key)
            keys += [(buckets.astype(key) << key(shift)) | np.repeat(some, lengths) for buckets, lengths in chunk]
            row += len(some)
        keys = np.sort(np.concatenate(keys))
        cells, buckets = (1 + int(np.count_nonzero(np.diff(some))) for some in (keys, keys >> key(shift)))
        moved = (27 + 13 * keys.itemsize) * len(keys) + (114 + 2 * keys.itemsize) * cells + 105 * buckets
        self.clock.add(COUNT, moved, len(keys))

    def ratios(self, _, encoder, columns, chunks, targets, parameters):
        """Smoothed counts, logarithms and differences of each feature and class; then a few numbers for each feature."""
        classes = int(targets.max()) + 1 if targets.dtype.kind == "i" else 2
        self.clock.add(RATIOS, (108 * classes + 150) * self.frequent)

    def look_up(self, found, encoder, group):
        """The feature of each bucket; of the known ones, the squared weight."""
        self.clock.add(LOOK_UP, 39 * len(group[0]) + 52 * len(found[0]), len(group[0]))

    def table(self, table, buckets, _):
        """The table of all buckets, filled."""
        self.clock.add(LOOK_UP, table.nbytes + 16 * len(buckets))

    def gather(self, batch, *_):
        """The places and features of a batch, their bags, and what is taken in order."""
        features, _, distinct, *_ = batch
        self.clock.add(GATHER, 88 * len(features) + 64 * len(distinct))

    def order(self, order, values):
        """Two halves of each feature, the order of each, and one taken in the order of the other."""
        self.clock.add(SORT, 68 * len(values), len(values))

    def forward(self, _, network, features, *rest):
        """A row of the weights for each feature of each text."""
        self.clock.add(FORWARD, (4 + 4 * network.weight.shape[1]) * len(features), len(features))

    def backward(self, _, context, *gradients):
        """A row of the gradients for each feature of each text; their sums for each distinct feature."""
        weight, distinct, _, bags, *_ = context.saved_tensors
        row = 4 * weight.shape[1]
        self.clock.add(BACKWARD, (4 + row) * len(bags) + (16 + 3 * row) * len(distinct), len(bags))

    def update(self, _, parameter, rows, steps):
        """The rows of the weights that a batch has, read and written."""
        self.clock.add(UPDATE, (33 + 9 * 4 * parameter.shape[1]) * len(rows), 2 * len(rows))


@contextmanager
def instruments(clock):
    """Replace the functions of all parts by timed ones, and threads by none; undone at the end."""
    from retrain import threads
    from retrain.data.encoders import _ngrams, ngrams
    from retrain.models.networks import ngram_bag
    from retrain.training import optimizers

    import torch

    notes = Notes(clock)
    changes = [
        (threads, "ahead", lambda function, items, threads: map(function, items)),
        (_ngrams, "chunks_of", timed_steps(clock, TEXTS, _ngrams.chunks_of)),
        (ngrams, "chunks_of", timed_steps(clock, TEXTS, ngrams.chunks_of)),
        (_ngrams.Texts, "of", staticmethod(timed(clock, TEXTS, _ngrams.Texts.of, notes.texts))),
        (_ngrams, "buckets_of", timed(clock, WORDS, _ngrams.buckets_of)),
        (_ngrams, "words_of", timed(clock, WORDS, _ngrams.words_of, notes.words)),
        (_ngrams, "char_ngrams_of", timed(clock, RUNS, _ngrams.char_ngrams_of, notes.runs)),
        (ngrams, "counted", timed(clock, COUNT, ngrams.counted, notes.count)),
        (ngrams.Encoder, "of_chunks", classmethod(timed(clock, RATIOS, ngrams.Encoder.of_chunks.__func__, notes.ratios))),
        (ngrams.Encoder, "arrays_of", timed(clock, LOOK_UP, ngrams.Encoder.arrays_of)),
        (ngrams.Encoder, "features_of", timed(clock, LOOK_UP, ngrams.Encoder.features_of, notes.look_up)),
        (_ngrams, "table_of", timed(clock, LOOK_UP, _ngrams.table_of, notes.table)),
        (ngrams.Encoder, "gather", staticmethod(timed(clock, GATHER, ngrams.Encoder.gather, notes.gather))),
        (ngrams, "order_of", timed(clock, SORT, ngrams.order_of, notes.order)),
        (ngram_bag.Network, "forward", timed(clock, FORWARD, ngram_bag.Network.forward, notes.forward)),
        (ngram_bag.WeightedSums, "backward", staticmethod(timed(clock, BACKWARD, ngram_bag.WeightedSums.backward, notes.backward))),
        (torch.Tensor, "backward", timed(clock, BACKWARD, torch.Tensor.backward)),
        (optimizers.EagerSGD, "step", timed(clock, UPDATE, optimizers.EagerSGD.step)),
        (optimizers, "move_rows", timed(clock, UPDATE, optimizers.move_rows, notes.update)),
    ]  # fmt: skip
    missing = object()
    before = [(owner, name, vars(owner).get(name, missing)) for owner, name, _ in changes]
    for owner, name, changed in changes:
        setattr(owner, name, changed)
    try:
        yield
    finally:
        for owner, name, original in before:
            if original is missing:  # inherited
                delattr(owner, name)
            else:
                setattr(owner, name, original)


def trained(block, splits):
    """The clock of a training from rows in memory, and the size of its weights: features, outputs."""
    from retrain.training import loop, setup

    import ours

    clock = Clock()
    with instruments(clock), clock.part(REST):
        data = ours.encoded(block["split"], splits)
        training = setup.build(schema.check(block["train"], setup.Train, "train"), data, "train")
        functions = {name: timed(clock, FORWARD, getattr(training.config, name)) for name in ("loss", "totals")}
        for _ in loop.train_epochs(training.state, data.train, data.validation, replace(training.config, **functions)):
            pass
    return clock, tuple(training.state.network.weight.shape)


def per_second(function, count):
    """So many things per CPU second: the fastest of five calls."""
    taken = []
    for _ in range(5):
        begin = time.thread_time()
        function()
        taken.append(time.thread_time() - begin)
    return count / min(taken)


def bandwidth():
    """Bytes per second of a copy of 256 MB, read and written."""
    import numpy as np

    source = np.ones(256_000_000, np.uint8)
    target = source.copy()
    return per_second(lambda: np.copyto(target, source), 2 * source.nbytes)


def sorted_per_second(count):
    """So many random uint32 per second, sorted by numpy as arrays of this length."""
    import numpy as np

    keys = np.random.default_rng(1).integers(1 << 32, size=count, dtype=np.uint32)
    copies = iter([keys.copy() for _ in range(5)])
    return per_second(lambda: next(copies).sort(), count)


def taken_per_second(rows, width):
    """Random rows per second that `take` finds in a table of so many, each of so many bytes."""
    import numpy as np

    item = np.int32 if width == 4 else np.dtype((np.void, width))
    table = np.ones((rows, width), np.uint8).view(item).ravel()
    places = np.random.default_rng(1).integers(rows, size=2_000_000)
    found = table.take(places, mode="clip")
    return per_second(lambda: table.take(places, mode="clip", out=found), len(places))


def limits(clock, block, shape):
    """What bounds each part: its name, and how much of it the processor does in a second. Most parts are bound by the memory."""
    features, outputs = shape
    weights = table_rate(features, 4 * outputs)
    memory = ("memory", bandwidth())
    return {
        **dict.fromkeys((*FEATURES, *LOOP), memory),
        COUNT: (f"sort of {clock.items[COUNT] / 1e6:.1f} M numbers", sorted_per_second(clock.items[COUNT])),
        SORT: ("sort of 300,000 numbers", sorted_per_second(300_000)),
        LOOK_UP: table_rate(1 << block["split"]["encoder"]["hash_bits"], 4),
        FORWARD: weights,
        BACKWARD: table_rate(2 * block["train"]["loop"]["batch_size"], 4 * outputs),
        UPDATE: weights,
    }


def table_rate(rows, width):
    """The name and the rate of random access to a table of so many rows, each of so many bytes."""
    return f"random access, {rows * width / 1e6:.2g} MB", taken_per_second(rows, width)


def report(clock, found):
    """The lines of the table, from the limits of all trainings."""
    names = {part: name for part, (name, _) in found[0].items()}
    rates = {name: max(limit[part][1] for limit in found) for part, name in names.items()}
    for name, rate in rates.items():
        yield f"* {name}: " + (f"{rate / 1e9:.1f} GB/s" if name == "memory" else f"{rate / 1e6:.0f} M per second")
    yield ""
    yield "| part | CPU seconds | MB moved | GB/s | bound | share of the bound |"
    yield "|---|---|---|---|---|---|"
    for part in (*FEATURES, *LOOP):
        taken, moved, name = clock.seconds[part], clock.bytes[part], names[part]
        least = (moved if name == "memory" else clock.items[part]) / rates[name]
        yield f"| {part} | {taken:.2f} | {moved / 1e6:,.0f} | {moved / taken / 1e9:.1f} | {name} | {least / taken:.0%} |"
    yield f"| {REST} | {clock.seconds[REST]:.2f} | | | | |"
    yield ""
    features = sum(clock.seconds[part] for part in FEATURES)
    explained = 1 - clock.seconds[REST] / clock.whole
    yield f"Features {features:.2f} s, everything {clock.whole:.2f} s, of which the parts explain {explained:.1%}."


@click.command()
@cli.one_line_errors
def main():
    """Measure the parts of the committed recipe of AG News, in one thread."""
    block = params.dataset_block(ROOT, "ag_news")
    environment.keep_memory()
    environment.pin_cpu(1)
    sys.path.insert(0, str(ROOT / "src"))
    block = {**block, "train": {**block["train"], "threads": 1}}
    splits = ag_news.splits(block, ag_news.read(block))
    trained(block, {name: part.head(4096) for name, part in splits.items()})  # loads what is only loaded when needed
    clocks, found = [], []
    for _ in range(REPEATS):
        clock, shape = trained(block, splits)
        clocks.append(clock)
        found.append(limits(clock, block, shape))
    clock = sorted(clocks, key=lambda one: one.whole)[REPEATS // 2]
    click.echo("\n".join(report(clock, found)))


if __name__ == "__main__":
    main()
