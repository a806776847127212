"""Environments in which the same inputs must give the same bytes."""

import os
import subprocess
from pathlib import Path

from support.project import REPOSITORY

import matplotlib as mpl
from fontTools.ttLib import TTFont

Variables = dict[str, str]

C_LIBRARY = {"GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA"}
"""Exponentials, powers and sines of the C library without fused multiplications: they differ in last bits."""
STYLE = """\
font.size: 22
font.family: serif
lines.antialiased: False
path.simplify: False
text.hinting: none
axes.facecolor: yellow
axes.formatter.use_locale: True
savefig.dpi: 33
savefig.bbox: tight
timezone: Asia/Tokyo
"""


ABOVE_AVX2 = "X86_V4 AVX512_ICL AVX512_SPR"
"""What numpy calls the processors that have more."""
TOLD = {
    "AVX-512": {
        "ATEN_CPU_CAPABILITY": "avx512", "MKL_ENABLE_INSTRUCTIONS": "AVX512", "MKL_CBWR": "AVX512",
        "ONEDNN_MAX_CPU_ISA": "ALL", "DNNL_MAX_CPU_ISA": "ALL", "ONEDNN_DEFAULT_FPMATH_MODE": "ANY",
        "ARROW_USER_SIMD_LEVEL": "AVX512", "OPENBLAS_CORETYPE": "SkylakeX",
    },
    "AVX2": {
        "ATEN_CPU_CAPABILITY": "avx2", "MKL_ENABLE_INSTRUCTIONS": "AVX2", "MKL_CBWR": "AVX2",
        "ONEDNN_MAX_CPU_ISA": "AVX2", "FBGEMM_ENABLE_INSTRUCTIONS": "AVX2",
        "ARROW_USER_SIMD_LEVEL": "AVX2", "OPENBLAS_CORETYPE": "Haswell", "NPY_DISABLE_CPU_FEATURES": ABOVE_AVX2,
    },
    "SSE": {
        "ATEN_CPU_CAPABILITY": "default", "MKL_ENABLE_INSTRUCTIONS": "SSE4_2", "MKL_CBWR": "SSE4_2",
        "ONEDNN_MAX_CPU_ISA": "SSE41", "FBGEMM_NO_ASMJIT": "1", "FBGEMM_FORCE_AUTOVEC": "1",
        "ARROW_USER_SIMD_LEVEL": "NONE", "OPENBLAS_CORETYPE": "Nehalem",
        "NPY_DISABLE_CPU_FEATURES": f"X86_V3 {ABOVE_AVX2}",
    },
}  # fmt: skip
"""What a caller's environment may tell the libraries to use."""
ONE_THREAD = {
    "OMP_NUM_THREADS": "1", "OMP_THREAD_LIMIT": "1", "MKL_NUM_THREADS": "1", "MKL_DOMAIN_NUM_THREADS": "MKL_DOMAIN_ALL=1",
    "OPENBLAS_NUM_THREADS": "1",
}  # fmt: skip
FOUR_THREADS = {
    "OMP_NUM_THREADS": "4", "OMP_DYNAMIC": "true", "MKL_NUM_THREADS": "4", "MKL_DYNAMIC": "TRUE", "OPENBLAS_NUM_THREADS": "4",
}  # fmt: skip

NEWER = "the code or a parameter is newer than the results: run make repro, and commit what it changes"
"""What is wrong where a run in such an environment changes committed results."""


def umask(mask: str) -> tuple[str, ...]:
    """The start of a command under another umask."""
    return ("sh", "-c", f'umask {mask}; exec "$@"', "sh")


def own_style(folder: Path) -> Variables:
    """A home with settings of matplotlib, and with another font of the name that pictures are written in."""
    (folder / "matplotlibrc").write_text(STYLE)
    font = TTFont(Path(mpl.get_data_path(), "fonts", "ttf", "DejaVuSerif.ttf"))
    for name in font["name"].names:
        name.string = str(name).replace("Serif", "Sans")
    (folder / ".fonts").mkdir()
    font.save(folder / ".fonts" / "DejaVuSans.ttf")
    return {"HOME": str(folder), "MPLCONFIGDIR": str(folder), "MPLBACKEND": "pdf"}


def disguised(without: str, folder: Path) -> Variables:
    """What makes programs see another processor (tests/other_processor.c); nothing where this machine can't do that."""
    source, library = REPOSITORY / "tests/support/other_processor.c", folder / "other_processor.so"
    variables = {"OTHER_PROCESSOR": without, "LD_PRELOAD": str(library)}
    try:
        subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", library, source], capture_output=True, check=True)
        subprocess.run(["true"], env=os.environ | variables, check=True)
    except (FileNotFoundError, subprocess.CalledProcessError):
        return {}
    return variables


def many_at_once(folder: Path) -> Variables:
    """Variables for much that may be different elsewhere, with what they need in a folder."""
    return {
        **C_LIBRARY, **FOUR_THREADS, **TOLD["SSE"], "LC_ALL": "C", "TZ": "Asia/Kathmandu", "PYTHONHASHSEED": "7",
        **own_style(folder), **disguised("avx512 intel", folder),
    }  # fmt: skip
