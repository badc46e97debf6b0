"""Benchmarks of images and videos by their official rules.

A benchmark reads its folder as its authors publish it and scores answers as their script does. Adding one is adding a
module and an entry here.
"""

from __future__ import annotations

from cityscribe.evaluate.benchmarks.gqa import GQA
from cityscribe.evaluate.benchmarks.mm_vet import MM_VET
from cityscribe.evaluate.benchmarks.mmbench import MMBENCH
from cityscribe.evaluate.benchmarks.mme import MME
from cityscribe.evaluate.benchmarks.pope import POPE
from cityscribe.evaluate.benchmarks.question import Benchmark, Question, Scored, Verdict
from cityscribe.evaluate.benchmarks.science_qa import SCIENCE_QA
from cityscribe.evaluate.benchmarks.seed_bench import SEED_BENCH
from cityscribe.evaluate.benchmarks.video_chatgpt import VIDEO_CHATGPT
from cityscribe.evaluate.benchmarks.video_mme import VIDEO_MME
from cityscribe.evaluate.benchmarks.video_qa import ACTIVITYNET_QA, MSVD_QA
from cityscribe.evaluate.benchmarks.vqa import TEXTVQA, VIZWIZ, VQAV2

BENCHMARKS: dict[str, Benchmark] = {
    "gqa": GQA,
    "vqav2": VQAV2,
    "vizwiz": VIZWIZ,
    "textvqa": TEXTVQA,
    "pope": POPE,
    "mme": MME,
    "mmbench": MMBENCH,
    "seed-bench": SEED_BENCH,
    "science-qa": SCIENCE_QA,
    "mm-vet": MM_VET,
    "msvd-qa": MSVD_QA,
    "activitynet-qa": ACTIVITYNET_QA,
    "video-mme": VIDEO_MME,
    "video-chatgpt": VIDEO_CHATGPT,
}

__all__ = ["BENCHMARKS", "Benchmark", "Question", "Scored", "Verdict"]
