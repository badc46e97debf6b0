"""Benchmarks of images and videos by their official rules.

A benchmark reads its folder as its authors publish it and scores answers as their script does. Adding one is adding a
module and an entry here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cityscribe.files import InputError
from cityscribe.registry import Registry

if TYPE_CHECKING:
    from cityscribe.evaluate.benchmarks.question import Benchmark

_ROOM = "cityscribe.evaluate.benchmarks"


def _check(name: str, member: Any) -> None:
    from cityscribe.evaluate.benchmarks.question import Benchmark

    if not isinstance(member, Benchmark):
        raise InputError(f"benchmark {name}: expected a Benchmark, found {type(member).__name__}")


BENCHMARKS: Registry[Benchmark] = Registry("benchmark", "a published benchmark by its official rule", _check)
BENCHMARKS.add("gqa", f"{_ROOM}.gqa:GQA", "compositional questions about images", paper="Hudson and Manning 2019")
BENCHMARKS.add("vqav2", f"{_ROOM}.vqa:VQAV2", "open questions about images, ten annotators", paper="Goyal et al. 2017")
BENCHMARKS.add("vizwiz", f"{_ROOM}.vqa:VIZWIZ", "questions of blind people", paper="Gurari et al. 2018")
BENCHMARKS.add("textvqa", f"{_ROOM}.vqa:TEXTVQA", "questions about text in images", paper="Singh et al. 2019")
BENCHMARKS.add("pope", f"{_ROOM}.pope:POPE", "whether objects are there: hallucination", paper="Li et al. 2023")
BENCHMARKS.add("mme", f"{_ROOM}.mme:MME", "yes or no in fourteen subtasks", paper="Fu et al. 2023")
BENCHMARKS.add("mmbench", f"{_ROOM}.mmbench:MMBENCH", "options in all rotations", paper="Liu et al. 2024")
BENCHMARKS.add("seed-bench", f"{_ROOM}.seed_bench:SEED_BENCH", "options, images and videos", paper="Li et al. 2024")
BENCHMARKS.add("science-qa", f"{_ROOM}.science_qa:SCIENCE_QA", "school questions with options", paper="Lu et al. 2022")
BENCHMARKS.add("mm-vet", f"{_ROOM}.mm_vet:MM_VET", "free answers, graded by a judge", paper="Yu et al. 2024")
BENCHMARKS.add("msvd-qa", f"{_ROOM}.video_qa:MSVD_QA", "short answers about clips", paper="Xu et al. 2017")
BENCHMARKS.add("activitynet-qa", f"{_ROOM}.video_qa:ACTIVITYNET_QA", "short answers on videos", paper="Yu et al. 2019")
BENCHMARKS.add("video-mme", f"{_ROOM}.video_mme:VIDEO_MME", "options, short to long videos", paper="Fu et al. 2025")
BENCHMARKS.add(
    "video-chatgpt",
    f"{_ROOM}.video_chatgpt:VIDEO_CHATGPT",
    "what is said of videos, judged in five dimensions",
    paper="Maaz et al. 2024",
)

_DRIVING = f"{_ROOM}.driving"
BENCHMARKS.add(
    "nuscenes-qa", f"{_DRIVING}.nuscenes_qa:NUSCENES_QA", "what surrounds a car, in a word", paper="Qian et al. 2023"
)
BENCHMARKS.add(
    "vru-accident",
    f"{_DRIVING}.vru_accident:VRU_ACCIDENT",
    "options on accidents with vulnerable road users",
    paper="Kim et al. 2025, arXiv 2507.09815",
)
BENCHMARKS.add("tar", f"{_DRIVING}.tar:TAR", "anomalies in traffic video, ten tasks", paper="AI City Challenge 2026")
BENCHMARKS.add(
    "fetv", f"{_DRIVING}.fetv:FETV", "violations seen by a fisheye camera, in fields", paper="AI City Challenge 2026"
)
BENCHMARKS.add("drivelm", f"{_DRIVING}.drivelm:DRIVELM", "graph questions about six cameras", paper="Sima et al. 2023")
BENCHMARKS.add("lingoqa", f"{_DRIVING}.lingoqa:LINGOQA", "open questions about driving", paper="Marcu et al. 2023")
BENCHMARKS.add(
    "drivelmm-o1", f"{_DRIVING}.drivelmm_o1:DRIVELMM_O1", "reasoning in steps and options", paper="Ishaq et al. 2025"
)
BENCHMARKS.add(
    "sutd-trafficqa",
    f"{_DRIVING}.sutd_trafficqa:SUTD_TRAFFICQA",
    "options on traffic events, six kinds of reasoning",
    paper="Xu et al. 2021",
)
BENCHMARKS.add("mm-au", f"{_DRIVING}.mm_au:MM_AU", "why an accident happened, five options", paper="Fang et al. 2024")
BENCHMARKS.add(
    "stsbench",
    f"{_DRIVING}.stsbench:STSBENCH",
    "manoeuvres seen by six cameras",
    paper="Fruhwirth-Reisinger et al. 2025",
)
BENCHMARKS.add("maplm-qa", f"{_DRIVING}.maplm:MAPLM", "what a map would say of a road", paper="Cao et al. 2024")
BENCHMARKS.add(
    "tumtraffic-videoqa",
    f"{_DRIVING}.tumtraffic:TUMTRAFFIC",
    "roadside video: options, captions, where and when",
    paper="Zhou et al. 2025",
)
BENCHMARKS.add(
    "roadsocial",
    f"{_DRIVING}.roadsocial:ROADSOCIAL",
    "road events in social media, twelve tasks",
    paper="Parikh et al. 2025",
)
