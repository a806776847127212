"""Files that are not tables, or are tables in a form that a program can make CSV of."""

import re

from retrain.data.reading.text_files import with_command
from retrain.errors import RetrainError

__all__ = ["check_is_rows"]


ARFF = """'{k=tolower($1)} d&&NF&&!/^%/; k=="@attribute"{n=n s $2; s=","} k~/^@data/{print n; d=1}'"""
"""The program of awk that makes a CSV file of an ARFF file."""
EUROSTAT = """-F '\\t' -v OFS=, '{for (i = 2; i <= NF; i++) gsub(/[ :a-z]/, "", $i); $1 = $1} 1'"""
"""The program of awk that makes a CSV file of one of Eurostat: without the letters behind numbers, and : for missing ones."""
FASTTEXT = """'BEGIN{print "label,text"} {l=""; while(sub(/^__label__/,"")) {l=l (l==""?"":";") $1; sub(/^[^ \\t]+[ \\t]*/,"")} gsub(/"/,"\\"\\""); print "\\"" l "\\",\\"" $0 "\\""}'"""
"""The program of awk that makes a CSV file of the labels and texts of fastText."""
SVMLIGHT = """-c 'import pandas, sys; from sklearn.datasets import load_svmlight_file as load; x, y = load(sys.argv[1], zero_based=True); print(end=pandas.DataFrame(x.toarray()).add_prefix("x").assign(y=y).to_csv(index=False))'"""
"""The program of Python that makes a CSV file of a sparse one, whose pair 3:1.5 is a 1.5 in the column x3."""
CONVERTED = (
    (rb"(%.*\n|\s)*@relation\s", "is an ARFF file", f"awk {ARFF}"),
    (rb"[\w,]+\\time[_a-z]* *\t", "is a file of Eurostat", f"awk {EUROSTAT}"),
    (rb"__label__", "is a file of fastText", f"awk {FASTTEXT}"),
    (
        rb"[-+]?[\d.,]+( qid:\d+)?( +\d+:[-+.\deE]+)* +\d+:(?![0-5]\d\s)[-+.\deE]+( +\d+:[-+.\deE]+)* *(#.*)?(\r?\n|\S*\Z)",
        "is a file of LIBSVM (SVMlight)",
        f"python {SVMLIGHT}",
    ),
)
"""How files of rows that are not CSV start, what they are, and the program that makes CSV of them. 10:30 is a time."""
OTHER_FILES = (
    (
        rb"PK\x03\x04|\xd0\xcf\x11\xe0|BZh\d1AY|\xfd7zXZ|7z\xbc\xaf|Rar!|(?s:.{257}ustar)",
        "is a spreadsheet or an archive",
        "save the sheet as CSV, or unpack the file",
    ),
    (rb"%PDF-|\{\\rtf|SQLite format 3", "is a document or a database", "save the table as CSV"),
    (
        rb"(\xef\xbb\xbf)?\s*<(!doctype|!--|html|head|body|table|\?xml)",
        "is a web page or XML",
        "download the file itself, or save the table as CSV",
    ),
    (
        rb"(\xef\xbb\xbf|\s|--.*\n|/\*.*\n)*(CREATE|DROP) (TABLE|DATABASE)|(\s|--.*\n)*(INSERT INTO|PRAGMA [a-z_]+ ?=|BEGIN TRANSACTION)|-- (MySQL|MariaDB|phpMyAdmin) |--\s*-- PostgreSQL",
        "is an SQL dump",
        "load it into its database, and save the table as CSV",
    ),
    (rb"version https://git-lfs", "is a pointer of Git LFS instead of the file", "get the file: git lfs pull"),
    (rb"outs:\r?\n- (md5|hash|size|path|etag): ", "is a pointer of DVC instead of the file", "get the file: dvc pull"),
)
"""How files that are not tables start, what they are, and what to do."""


def check_is_rows(shown: str, start: bytes, source: str) -> None:
    """Raise RetrainError if a file with this start has no rows, or has them in a form that a program can make CSV."""
    for pattern, fact, hint in OTHER_FILES:
        if re.match(pattern, start, re.IGNORECASE):
            raise RetrainError(shown, fact, hint)
    for pattern, fact, program in CONVERTED:
        if re.match(pattern, start, re.IGNORECASE) or (program.endswith(ARFF) and shown.lower().endswith(".arff")):
            raise RetrainError(shown, fact, with_command("make it CSV", program, source))
