"""A tiny folder of each benchmark of driving: values of our own in the layout of its authors, and right answers.

`MIXED` has other answers, with the odd ones among them, to the same questions.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image


def dump(path: Path, value: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def image(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (12, 9), (200, 30, 30)).save(path)


def clip(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")


CAMERAS = ("CAM_FRONT_LEFT", "CAM_FRONT", "CAM_FRONT_RIGHT", "CAM_BACK_LEFT", "CAM_BACK", "CAM_BACK_RIGHT")


def cameras(root: Path, token: str) -> dict[str, str]:
    """The six images of a key frame of nuScenes."""
    names = {camera: f"samples/{camera}/{token}__{camera}.jpg" for camera in CAMERAS}
    for name in names.values():
        image(root / name)
    return names


def nuscenes_qa(root: Path) -> dict[str, str]:
    shots = [{"sample_token": "t1", "filename": name} for name in cameras(root, "t1").values()]
    dump(root / "v1.0-trainval" / "sample_data.json", [*shots, {"sample_token": "t1", "filename": "sweeps/x.jpg"}])
    asked = [
        ("How many cars are there?", 3, "count", 0),
        ("Are there any buses?", "no", "exist", 0),
        ("What is the thing behind the car?", "traffic cone", "object", 1),
        ("What is the state of the truck?", "moving", "status", 1),
        ("Is the bus as many as the car?", "yes", "comparison", 0),
    ]
    rows = [
        {"sample_token": "t1", "question": text, "answer": answer, "template_type": kind, "num_hop": hops}
        for text, answer, kind, hops in asked
    ]
    dump(root / "NuScenes_val_questions.json", {"info": {}, "split": "val", "questions": rows})
    return {f"t1/{number}": str(answer) for number, (_, answer, _, _) in enumerate(asked)}


VRU = (
    ("weather and light", "A. cloudy day, B. sunny day, C. stormy night, D. rainy afternoon", "B"),
    ("location", "A. urban, B. coastal, C. suburban, D. rural", "D"),
    ("accident reason", "A. Driver turns, without looking, B. Cyclist falls., C. Nothing, D. A light fails", "A"),
)


def vru_accident(root: Path) -> dict[str, str]:
    right = {}
    for name, videos in (("DoTA", 2), ("CAP_DATA", 1)):
        entries: dict[str, Any] = {}
        for number in range(1, videos + 1):
            video = f"./VRU_videos/{name}/VRU_{number}.mp4"
            clip(root / video)
            entries[video] = {
                category: {"question": f"What about the {category}?", "options": options, "GT": truth}
                for category, options, truth in VRU
            }
            right |= {f"{name}/VRU_{number}/{category}": truth for category, _, truth in VRU}
        dump(root / "MetaData" / name / f"{name}_VQA_annotation.json", entries)
    return right


SUTD = (
    *("record_id", "vid_id", "vid_filename", "perspective", "q_body", "q_type"),
    *("option0", "option1", "option2", "option3", "answer"),
)


def sutd_trafficqa(root: Path) -> dict[str, str]:
    clip(root / "raw_videos" / "b_1xx_clip_001.mp4")
    rows = [
        [7, 1, "b_1xx_clip_001.mp4", 1, "What happened?", "A", "Nothing", "A crash", "Others", "", 1],
        [8, 1, "b_1xx_clip_001.mp4", 3, "What is the state?", "U", "Bad", "Good", "", "Scratches", 3],
        [9, 1, "b_1xx_clip_001.mp4", 3, "Would it?", "C", "Yes", "No", "", "", 0],
    ]
    root.mkdir(parents=True, exist_ok=True)
    lines = "".join(json.dumps(row) + "\n" for row in (list(SUTD), *rows))
    (root / "test.jsonl").write_text(lines, encoding="utf-8")
    return {"7": "1", "8": "C", "9": "0"}


def mm_au(root: Path) -> dict[str, str]:
    for number in range(1, 4):
        image(root / "CAP-DATA" / "43" / "43" / "001222" / "images" / f"00000{number}.jpg")
    image(root / "DADA-DATA" / "5" / "006450" / "images" / "0001.png")
    rows = []
    for video, name, right in (("7816", "43-001222", "1"), ("7818", "5-006450", "4")):
        options = {f"a{n}": f"cause number {n}." for n in range(5)}
        row = {"video_id": video, "num_option": 5, "qid": "0", **options, "answer": right}
        rows.append({**row, "question": "what is the cause of the accident?", "video_name": name})
    dump(root / "test.json", rows)
    return {"7816/0": "B", "7818/0": "4"}


def stsbench(root: Path) -> dict[str, str]:
    sensors = {camera: [name] for camera, name in cameras(root, "t2").items()} | {"LIDAR_TOP": ["x.bin"]}
    negatives = "left turn,right turn,reverse,stop,u-turn"
    ego = {"xyz": [[0, 0, 0]], "yaw": [0], "velocity": [1], "ego_pose_token": ["e"]}
    seen = {"bb2d": [[1, 2, 30, 40]], "cam": ["CAM_FRONT"]}
    agent = {"global": {}, "lidar": {}, "camera": seen, "agent_token": ["a"]}
    base = {"negative_scenarios": negatives, "sensors": sensors}
    rows = [
        {**base, "scenario": "lane change", "ego": ego},
        {**base, "scenario": "lane change", "ego": ego},
        {**base, "scenario": "overtake", "ego": ego},
        {**base, "scenario": "overtake", "ego": ego, "agent": agent},
        {**base, "scenario": "walk", "agent": agent},
        {**base, "scenario": "follow", "agent": agent, "other_agent": agent},
    ]
    dump(root / "STSnu.json", rows)
    from cityscribe.evaluate.benchmarks.driving.stsbench import read_stsbench

    return {question.id: question.truth[0] for question in read_stsbench(root, "")}


SCENES = ["Normal city road.", "Construction road.", "Undeveloped road."]


def maplm(root: Path) -> dict[str, str]:
    frames = {}
    for name, lanes, scene in (("FR2", 0, 2), ("FR3", 2, 0)):
        image(root / name / "photo_forward.jpg")
        frames[name] = {
            "image": f"{name}/photo_forward.jpg",
            "qa": [
                {
                    "task": "closed choice",
                    "question": "What kind of road scene is it?",
                    "choices": SCENES,
                    "answer": scene,
                },
                {
                    "task": "closed choice",
                    "question": "How many lanes in current road?",
                    "choices": ["1", "2", "3"],
                    "answer": lanes,
                },
                {"task": "open qa", "question": "Describe the lanes.", "answer": "The first lane turns left here ."},
            ],
        }
    dump(root / "problems.json", frames)
    dump(root / "pid_splits.json", {"test": ["FR2", "FR3"], "train": []})
    said = "The first lane turns left here ."
    return {
        "FR2/0": "The answer is Undeveloped road.",
        "FR2/1": "The answer is 1",
        "FR2/2": said,
        "FR3/0": "normal city road.",
        "FR3/1": "3",
        "FR3/2": said,
    }


TAR = (
    ("bcq", "Does a car stop?", "Yes."),
    ("bcq", "Is there a crash?", "No. It is calm."),
    ("bcq", "Is it dark?", "no"),
    ("mcq", "Who? A) a car B) a bus", "A) a car"),
    ("mcq", "Where? A) left B) right C) front", "C) front"),
    ("temporal_localization", "When?", '{"start": "00:02", "end": "00:06"}'),
    ("temporal_localization", "When does it end?", '{"start": "01:00:10", "end": "01:00:20.5"}'),
    ("temporal_localization", "When is it over?", '{"start": "3", "end": "9"}'),
    ("open_qa", "Why?", "The driver of the car looks at a phone."),
    ("causal_linkage", "What led to it?", "A van brakes and the car behind hits it."),
)


def tar(root: Path) -> dict[str, str]:
    clip(root / "test" / "videos" / "c1.mp4")
    items = [
        {"item_index": f"a{n:015x}", "task_type": task, "video_id": "c1.mp4", "question": asked, "answer": answer}
        for n, (task, asked, answer) in enumerate(TAR)
    ]
    metadata = {"type": "annotation", "task": "tar"}
    dump(root / "test" / "test.json", {"format": "tao-vl-reason-v1.0", "metadata": metadata, "items": items})
    return {item["item_index"]: item["answer"] for item in items}


FETV = {
    "date": ("2018-07-17", "2018-07-17", "2018-07-18"),
    "time": ("17:06:47", "06:04:50", "12:00:00"),
    "violation_type": ("wrong_way", "jaywalking", "no_violation"),
    "violator_type": ("motorcycle", "pedestrian", "na"),
    "weather": ("clear", "clear", "rainy"),
    "description": (
        "A motorcycle enters the road against the traffic.",
        "A person crosses between two cars in the evening.",
        "Cars pass the junction.",
    ),
}


def fetv(root: Path) -> dict[str, str]:
    rows, right = [], {}
    for number in range(3):
        clip(root / "clips" / f"00{number}_001.mp4")
        row = {"clip_name": f"00{number}_001.mp4"}
        for field, values in FETV.items():
            row |= {f"question_{field}": f"What is the {field}?", f"answer_{field}": values[number]}
            right[f"00{number}_001.mp4/{field}"] = values[number]
        rows.append(row)
    dump(root / "FETV_export_public.json", rows)
    return right


def drivelm(root: Path) -> dict[str, str]:
    paths = {camera: f"../nuscenes/{name}" for camera, name in cameras(root, "t3").items()}
    one, two = "<c1,CAM_BACK,1088.3,497.5>", "<c2,CAM_FRONT,500.0,300.5>"
    asked: dict[str, list[dict[str, Any]]] = {
        "perception": [
            {"Q": "What are the important objects?", "A": f"A car {one} and a bus {two}.", "tag": [2]},
            {"Q": f"What is the moving status of object {one}? A. Stopped. B. Turn left.", "A": "B", "tag": [0]},
            {"Q": f"What is the colour of {two}?", "A": "It is red."},
        ],
        "prediction": [
            {"Q": "Which object first?", "A": f"Firstly {two}, then {one}.", "tag": [3]},
            {"Q": f"Would {two} be in the way?", "A": "Yes.", "tag": [0]},
        ],
        "planning": [{"Q": "What actions are safe?", "A": "Brake gently and keep to the lane.", "tag": [1]}],
        "behavior": [{"Q": "What does the ego vehicle do? A. It stops. B. It drives.", "A": "A", "tag": [0]}],
    }
    other = {"Q": "What are the objects?", "A": f"There is a truck {two} in front.", "tag": [2]}
    frames = {
        "f1": {"QA": asked, "image_paths": paths},
        "f2": {"QA": {"perception": [other], "prediction": [], "planning": [], "behavior": []}, "image_paths": paths},
    }
    dump(root / "test_eval.json", {"s1": {"key_frames": frames}})
    right = {"s1_f2_0": other["A"]}
    rows = [row for topic in ("perception", "prediction", "planning", "behavior") for row in asked[topic]]
    return right | {f"s1_f1_{number}": row["A"] for number, row in enumerate(rows) if "tag" in row}


def lingoqa(root: Path) -> dict[str, str]:
    image(root / "images" / "val" / "s1" / "0.jpg")
    rows = [
        ("q1", "s1", "Why do we stop?", "The light is red."),
        ("q1", "s1", "Why do we stop?", "There is a red light ahead."),
        ("q2", "s1", "Are there people?", "No, there are none."),
        ("q2", "s1", "Are there people?", "None."),
    ]
    names = ("question_id", "segment_id", "question", "answer")
    table = {name: [row[n] for row in rows] for n, name in enumerate(names)}
    table["images"] = [["images/val/s1/0.jpg"]] * len(rows)  # type: ignore[list-item]
    pq.write_table(pa.table(table), root / "val.parquet")
    return {"q1/s1": "the light is red", "q2/s1": "None."}


def drivelmm_o1(root: Path) -> dict[str, str]:
    image(root / "images" / "s_f.png")
    entries = {
        "1": ("s_f_2", "Which lane? A) left B) right", "B) right", "The left one is blocked."),
        "2": ("s_f_1", "What is seen?", "A car and a bus.", "Look left, look right."),
        "3": ("s_f_8", "Which action? A) brake B) go", "A) brake", "The light is red."),
        "4": ("s_f_4", "Which of these?", "None of the options.", "There is no such thing."),
    }
    keys = ("idx", "question", "final_answer", "steps")
    dump(
        root / "DriveLMMo1_TEST.json",
        {n: dict(zip(keys, row, strict=True)) | {"image": "x"} for n, row in entries.items()},
    )
    return {
        "s_f_2": "Reasoning. Final Answer: B) right",
        "s_f_1": "A car and a bus.",
        "s_f_8": "**Final Answer:** A) brake",
        "s_f_4": "Final Answer: none of the options",
    }


TUM = (
    ("Motion Q1", "Is the car moving?", "Yes, it is."),
    ("Motion Q1", "Is the bus moving?", "No."),
    ("Motion Q1", "Is the truck moving?", "yes"),
    ("Class Q1", "Which class? A. car B. bus C. van D. truck", "B"),
    ("Class Q1", "Which one? A. car B. bus C. van D. truck", "D. truck"),
    ("Count Q1", "How many? A. 1 B. 2 C. 3 D. 4", "A"),
    ("Description", "Describe it.", "A red car turns left at the junction ."),
    ("Description", "Describe that.", "Two people wait at the kerb ."),
    ("Grounding", "When and where?", "((c1, 0.1, 0.2, 0.3), (c1, 0.5, 0.6, 0.7))"),
    ("Grounding", "When and where is it?", "((c2, 0.0, 0.5, 0.5), (c2, 1.0, 0.9, 0.5))"),
)


def tumtraffic(root: Path) -> dict[str, str]:
    clip(root / "raw_videos" / "v1.mp4")
    rows = [
        {
            "id": f"q{n}",
            "video": "v1.mp4",
            "type": kind,
            "conversations": [{"from": "human", "value": f"<image>\n{text}"}, {"from": "gpt", "value": answer}],
        }
        for n, (kind, text, answer) in enumerate(TUM)
    ]
    dump(root / "TUMTraf_ViedeoQAs_valtest.json", rows)
    types = {
        "language_metrics": ["Description"],
        "spatial_temporal_metrics": ["Grounding"],
        "acc_match_metrics": ["Motion Q1", "Class Q1", "Count Q1"],
        "class_merge": {"Motion": ["Motion Q1"], "Class": ["Class Q1"], "Counting": ["Count Q1"]},
    }
    dump(root / "QA_type.json", types)
    return {row["id"]: row["conversations"][1]["value"] for row in rows}  # type: ignore[index, misc]


def roadsocial(root: Path) -> dict[str, str]:
    right = {}
    spans = {"11": "0 to 12", "12": "00:03 to 00:09", "13": "2.4 to 8.6"}
    for name, span in spans.items():
        clip(root / "videos" / f"v_{name}_abc.mp4")
        asked = [
            ("Grounding", "When is the key event?", f"It is observed between {span} seconds.", "Generic"),
            ("Why", "Why did it happen?", "The driver did not look.", "Specific"),
            ("Where", "Where is it?", "On a motorway.", "Generic"),
            ("Incompatible", "What colour is the boat?", "There is no boat.", "Specific"),
        ]
        rows = [
            {"Q": text, "A": answer, "QA-task": task, "QA-subtask": "None", "Q-type": kind}
            for task, text, answer, kind in asked
        ]
        urls = ["http://video/abc.mp4?tag=1"]
        dump(root / "test" / f"qa_{name}.json", {"Tweet_ID": int(name), "TweetVideoURLs": urls, "QAs": rows})
        right |= {f"qa_{name}/{number}": row["A"] for number, row in enumerate(rows)}
    return right


DRIVING: dict[str, Callable[[Path], dict[str, str]]] = {
    "nuscenes-qa": nuscenes_qa,
    "vru-accident": vru_accident,
    "tar": tar,
    "fetv": fetv,
    "drivelm": drivelm,
    "lingoqa": lingoqa,
    "drivelmm-o1": drivelmm_o1,
    "sutd-trafficqa": sutd_trafficqa,
    "mm-au": mm_au,
    "stsbench": stsbench,
    "maplm-qa": maplm,
    "tumtraffic-videoqa": tumtraffic,
    "roadsocial": roadsocial,
}
"""By benchmark: what writes its folder and returns right answers by id."""

MIXED: dict[str, dict[str, str]] = {
    "nuscenes-qa": {"t1/0": "3", "t1/1": "No", "t1/2": "traffic cone.", "t1/3": "moving", "t1/4": ""},
    "vru-accident": {
        **{f"DoTA/VRU_1/{category}": text for (category, _, _), text in zip(VRU, (" b ", "D.", "A"), strict=True)},
        **{f"DoTA/VRU_2/{category}": text for (category, _, _), text in zip(VRU, ("B", "", "c"), strict=True)},
        **{f"CAP_DATA/VRU_1/{category}": text for (category, _, _), text in zip(VRU, ("A", "d", "(A)"), strict=True)},
    },
    "tar": {
        **{f"a{n:015x}": text for n, text in enumerate(("Well, yes", "It is not", "NO!", "a", "I say C"))},
        f"a{5:015x}": 'Here: ```json\n[{"start": "0:03", "end": "0:08"}]\n```',
        f"a{6:015x}": "between ten and twenty",
        f"a{7:015x}": '{"start": 9, "end": 3}',
        f"a{8:015x}": "The driver uses a phone.",
        f"a{9:015x}": "The car hits a van that brakes.",
    },
    "fetv": {
        **{f"000_001.mp4/{field}": values[0] for field, values in FETV.items()},
        "001_001.mp4/date": "2018-07-17",
        "001_001.mp4/time": "06:04:57",
        "001_001.mp4/violation_type": " Jaywalking",
        "001_001.mp4/violator_type": "person",
        "001_001.mp4/weather": "",
        "001_001.mp4/description": "A person walks between cars.",
        "002_001.mp4/date": "2018-07-17",
        "002_001.mp4/time": "25:00:00",
        "002_001.mp4/violation_type": "jaywalking",
        "002_001.mp4/violator_type": "na",
        "002_001.mp4/weather": "clear",
        "002_001.mp4/description": "",
    },
    "drivelm": {
        "s1_f1_0": "There are <c9,CAM_BACK,1080.3,500.5> and a bus at 700.0, 300.5, maybe 12.5.",
        "s1_f1_1": "B",
        "s1_f1_3": "<c1,CAM_BACK,1088.3,497.5> and <c2,CAM_FRONT,510.5,310.5> and 1.5, 2.5",
        "s1_f1_4": "Yes.",
        "s1_f1_5": "Keep the lane and brake.",
        "s1_f1_6": "a",
        "s1_f2_0": "A truck is in front.",
    },
    "lingoqa": {"q1/s1": "Because of the red light", "q2/s1": "NONE"},
    "drivelmm-o1": {
        "s_f_2": "Final Answer: A) left. But no: Final Answer: B) right",
        "s_f_1": "",
        "s_f_8": "I would brake, A)",
        "s_f_4": "Answer: I do not know",
    },
    "sutd-trafficqa": {"7": "It is B.", "8": "2", "9": "yes"},
    "mm-au": {"7816/0": "cause number 1", "7818/0": "9"},
    "maplm-qa": {
        "FR2/0": "It is an UNDEVELOPED ROAD.",
        "FR2/1": "There are 21 lanes",
        "FR2/2": "The first lane turns left there .",
        "FR3/0": "",
        "FR3/1": "The answer is 3",
        "FR3/2": "A lane",
    },
    "tumtraffic-videoqa": {
        **{f"q{n}": text for n, text in enumerate(("Yes", "yes, no", "It moves", "B.", "A. or D. truck"))},
        "q5": "a",
        "q6": "A car turns left .",
        "q7": "",
        "q8": "((c1, 0.2, 0.2, 0.3), (c1, 0.5, 0.6, 0.4))",
        "q9": "from (0.1, 0.1, 0.5, 0.5) to nowhere",
    },
    "stsbench": {"0": "a", "1": "B. this", "2": "c", "3": "Dear me", "4": "E", "5": "A"},
    "roadsocial": {
        **{f"qa_{name}/{n}": "Something." for name in ("11", "12", "13") for n in range(1, 4)},
        "qa_11/0": "From 2 to 10 seconds",
        "qa_12/0": "At 0:09 and 0:03",
        "qa_13/0": "I can't tell; 1 to 9, maybe 3",
    },
}
