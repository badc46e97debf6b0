"""A tiny data set of each format, shaped as the real one is. Videos are empty unless `video` writes them."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from cityscribe.media.video import write_video
from cityscribe.sources.boxes.cvat import cvat_of
from cityscribe.traffic.scenario import Box
from tests.media.numbered_video import numbered_frame
from tests.sources.conversations import dump, dump_lines, picture
from tests.sources.tree import write

UUID = "3c8c80e3-33f1-4133-a86c-1192c8a26159"


def clip(path: Path, *, empty: bool, frames: int = 30) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if empty:
        path.write_bytes(b"")
    else:
        write_video(path, map(numbered_frame, range(frames)), 10)
    return path


def llava(root: Path, empty: bool = True) -> None:
    for name in ("coco/1.png", "coco/2.png"):
        picture(root / name)
    clip(root / "clips" / "v.mp4", empty=empty)
    talk = [{"from": "human", "value": "<image>\nWhat is this?"}, {"from": "gpt", "value": "A crossing."}]
    two = [{"from": "human", "value": "First <image> then <image>?"}, {"from": "gpt", "value": "A car leaves."}]
    dump(
        root / "llava_train.json",
        [
            {"id": "000", "image": "coco/1.png", "conversations": talk},
            {"id": 1, "image": ["coco/1.png", "coco/2.png"], "conversations": two},
            {"id": "text", "conversations": [{"from": "human", "value": "Hello"}, {"from": "gpt", "value": "Hi."}]},
            {"id": "clip", "video": "clips/v.mp4", "conversations": talk},
        ],
    )
    dump_lines(root / "val.jsonl", [{"id": "v", "image": "coco/2.png", "conversations": talk}])


def mixture(root: Path, empty: bool = True) -> None:
    llava(root, empty)
    write(
        root / "mixture.yaml",
        "datasets:\n  - json_path: llava_train.json\n    sampling_strategy: first:50%\n"
        "  - json_path: val.jsonl\n    sampling_strategy: all\n",
    )


def sharegpt(root: Path, empty: bool = True) -> None:
    picture(root / "images" / "1.png")
    tags = {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}
    dump(
        root / "dataset_info.json",
        {
            "mllm_train": {
                "file_name": "mllm.json",
                "formatting": "sharegpt",
                "columns": {"messages": "messages", "images": "images"},
                "tags": tags,
            },
            "alpaca": {
                "file_name": "alpaca.json",
                "columns": {"images": "images", "system": "system", "history": "history"},
            },
            "old": {
                "file_name": "old.json",
                "formatting": "sharegpt",
                "columns": {"messages": "conversations", "system": "system"},
            },
            "hub": {"hf_hub_url": "somebody/something"},
        },
    )
    talk = [{"role": "user", "content": "<image>Who?"}, {"role": "assistant", "content": "Two people."}]
    dump(root / "mllm.json", [{"messages": talk, "images": ["images/1.png"]}])
    dump(
        root / "alpaca.json",
        [
            {
                "instruction": "Describe",
                "input": "the street",
                "output": "It is wet.",
                "system": "Be short.",
                "history": [["Hello", "Hi."]],
                "images": ["images/1.png"],
            }
        ],
    )
    turns = [{"from": "human", "value": "One"}, {"from": "gpt", "value": "Two"}]
    dump(root / "old.json", [{"conversations": turns, "system": "Count."}])


def messages(root: Path, empty: bool = True) -> None:
    picture(root / "a.png", size=(200, 100))
    typed = [
        {"role": "system", "content": "You see a street."},
        {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What?"}]},
        {"role": "assistant", "content": [{"type": "text", "text": "A bus."}]},
    ]
    grounded = [
        {"role": "user", "content": "<image>Find <ref-object>"},
        {"role": "assistant", "content": "It is at <bbox>"},
    ]
    dump_lines(
        root / "train.jsonl",
        [
            {"messages": typed, "images": ["a.png"]},
            {
                "messages": grounded,
                "images": [{"path": "a.png"}],
                "objects": {"ref": ["the bus"], "bbox": [[20, 10, 100, 50]]},
            },
            {
                "prompt": [{"role": "user", "content": "Where?"}],
                "completion": [{"role": "assistant", "content": "Left."}],
                "images": ["a.png"],
            },
        ],
    )


def datasets(root: Path, empty: bool = True) -> None:
    """As `save_to_disk` lays it out, with pictures inside the table."""
    content = picture(root / "x.png").read_bytes()
    (root / "x.png").unlink()
    talk = [
        {"role": "user", "content": [{"type": "image", "text": None}, {"type": "text", "text": "What?"}]},
        {"role": "assistant", "content": [{"type": "text", "text": "Red."}]},
    ]
    image = pa.list_(pa.struct([("bytes", pa.binary()), ("path", pa.string())]))
    block = pa.struct([("type", pa.string()), ("text", pa.string())])
    said = pa.list_(pa.struct([("role", pa.string()), ("content", pa.list_(block))]))
    rows = [{"messages": talk, "images": [{"bytes": content, "path": None}]}] * 2
    table = pa.Table.from_pylist(rows, schema=pa.schema([("messages", said), ("images", image)]))
    (root / "train").mkdir(parents=True)
    with (
        pa.OSFile(str(root / "train" / "data-00000-of-00001.arrow"), "wb") as sink,
        pa.ipc.new_stream(sink, table.schema) as writer,
    ):
        writer.write_table(table)
    dump(root / "train" / "state.json", {"_data_files": [{"filename": "data-00000-of-00001.arrow"}]})
    dump(root / "dataset_dict.json", {"splits": ["train"]})
    texts = [{"texts": [{"user": "Hello", "assistant": "Hi."}]}]
    (root / "data").mkdir()
    pq.write_table(pa.Table.from_pylist(texts), root / "data" / "validation-00000-of-00001.parquet")


def wts_vqa(root: Path, empty: bool = True) -> None:
    name = "20230707_8_SN46_T1"
    clip(root / "videos" / "train" / name / "overhead_view" / f"{name}_Camera1_0.mp4", empty=empty)
    clip(root / "external" / "BDD_PC_5K" / "videos" / "test" / "public" / "video7.mp4", empty=empty)
    place = root / "annotations" / "vqa" / "train" / name
    weather = {"question": "How is the weather?", "a": "Clear", "b": "Rainy", "correct": "b"}
    speed = {"question": "How fast?", "a": "5", "b": "10", "c": "20", "d": "30", "correct": "c"}
    overhead = {"id": 722, "overhead_videos": [f"{name}_Camera1_0.mp4"]}
    dump(place / "environment" / f"{name}.json", [{**overhead, "environment": [weather]}])
    phase = {"start_time": "0.5", "end_time": "2.0", "labels": ["avoidance"], "conversations": [speed]}
    dump(place / "overhead_view" / f"{name}.json", [{**overhead, "event_phase": [phase]}])
    boxes = root / "annotations" / "bbox_annotated"
    for role, xywh in (("pedestrian", [20, 28, 10, 16]), ("vehicle", [60, 26, 30, 14])):
        dump(
            boxes / role / "train" / name / "overhead_view" / f"{name}_Camera1_0_bbox.json",
            {"annotations": [{"image_id": 6, "bbox": xywh, "auto-generated": False, "phase_number": "4"}]},
        )
    asked = {"id": UUID, "question": "Where?", "a": "left", "b": "right", "c": "ahead", "correct": ""}
    dump(
        root / "WTS_VQA_PUBLIC_TEST.json",
        [
            {"videos": ["video7.mp4"], "event_phase": [{**phase, "labels": ["1"], "conversations": [asked]}]},
            {"videos": ["video7.mp4"], "conversations": [{**asked, "id": "0" * 8}]},
        ],
    )


def drivelm(root: Path, empty: bool = True) -> None:
    picture(root / "nuscenes" / "samples" / "CAM_FRONT" / "n1.png")
    picture(root / "nuscenes" / "samples" / "CAM_BACK" / "n1.png")
    paths = {camera: f"../nuscenes/samples/{camera}/n1.png" for camera in ("CAM_FRONT", "CAM_BACK")}
    questions = {
        "perception": [{"Q": "What is <c1,CAM_BACK,1088.3,497.5>?", "A": "A brown SUV.", "C": None, "tag": [2]}],
        "planning": [{"Q": "What should the ego vehicle do?", "A": "Slow down."}],
    }
    frame = {"key_object_infos": {"<c1,CAM_BACK,1088.3,497.5>": {}}, "QA": questions, "image_paths": paths}
    dump(root / "v1_1_train_nus.json", {"scene1": {"scene_description": "A street.", "key_frames": {"f1": frame}}})


def lingoqa(root: Path, empty: bool = True) -> None:
    for number in range(2):
        picture(root / "images" / "val" / "s1" / f"{number}.png")
    images = [f"images/val/s1/{number}.png" for number in range(2)]
    row = {"question_id": "q1", "segment_id": "s1", "images": images, "question": "Is it wet?", "answer": "Yes."}
    pq.write_table(pa.Table.from_pylist([row, {**row, "answer": "It is."}]), root / "val.parquet")
    pq.write_table(pa.Table.from_pylist([{**row, "question_id": "q2", "images": images[:1]}]), root / "train.parquet")


def nuscenes_qa(root: Path, empty: bool = True) -> None:
    picture(root / "samples" / "CAM_FRONT" / "n.png")
    dump(
        root / "v1.0-mini" / "sample_data.json",
        [
            {"sample_token": "t1", "filename": "samples/CAM_FRONT/n.png", "is_key_frame": True},
            {"sample_token": "t1", "filename": "sweeps/CAM_FRONT/m.png", "is_key_frame": False},
        ],
    )
    asked = {"split": "train", "sample_token": "t1", "question": "How many cars?", "answer": "2", "num_hop": 0}
    dump(root / "NuScenes_train_questions.json", {"info": {}, "questions": [{**asked, "template_type": "count"}]})


def bddx(root: Path, empty: bool = True) -> None:
    clip(root / "videos" / "06d501fd-a9ffc960.mov", empty=empty)
    columns = [
        "Input.Video",
        *(f"Answer.{n}{key}" for n in (1, 2) for key in ("start", "end", "action", "justification")),
    ]
    row = ["https://host/bdd/06d501fd-a9ffc960.mov", "0", "2", "The car stops", "because the light is red", *[""] * 4]
    root.mkdir(exist_ok=True)
    with (root / "BDD-X-Annotations_v1.csv").open("w", newline="") as file:
        csv.writer(file).writerows([columns, row])
    write(root / "train.txt", "1_06d501fd-a9ffc960\n")


def cvat_xml(label: str = "pedestrian", gap: int = 4) -> str:
    names = {"id": "0_1_2b", "look": "looking", "action": "walking", "cross": "not-crossing"}
    said = "".join(f'<attribute name="{name}">{value}</attribute>' for name, value in names.items())
    place = 'xtl="10.0" ytl="20.0" xbr="30.0" ybr="60.0"'
    moved = 'xtl="50.0" ytl="20.0" xbr="70.0" ybr="60.0"'
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n<annotations><version>1.1</version><meta><task>'
        "<original_size><width>112</width><height>48</height></original_size></task></meta>"
        f'<track id="0" label="{label}"><box frame="0" keyframe="1" outside="0" occluded="0" {place}>{said}</box>'
        f'<box frame="{gap}" keyframe="1" outside="0" occluded="0" {moved}>{said}</box>'
        f'<box frame="{gap + 1}" keyframe="1" outside="1" occluded="0" {moved}>{said}</box></track></annotations>\n'
    )


def jaad(root: Path, empty: bool = True) -> None:
    clip(root / "clips" / "video_0001.mp4", empty=empty)
    write(root / "annotations" / "video_0001.xml", cvat_xml())
    write(root / "split_ids" / "default" / "train.txt", "video_0001\n")


def video_qa(root: Path, empty: bool = True) -> None:
    clip(root / "video" / "video7.mp4", empty=empty)
    clip(root / "video" / "v_abc.mp4", empty=empty)
    clip(root / "video" / "-4wsuPCjDBc_5_15.avi", empty=True)
    asked = {"id": 0, "video_id": 7, "question": "what is driving?", "answer": "car", "category_id": 14}
    dump(root / "train_qa.json", [asked])
    dump(root / "val_q.json", [{"question_id": "v_abc_3", "video_name": "abc", "question": "is it day?"}])
    dump(root / "val_a.json", [{"question_id": "v_abc_3", "answer": "yes", "type": 3}])
    write(root / "youtube_mapping.txt", "-4wsuPCjDBc_5_15 vid1\n")


def ucf_crime(root: Path, empty: bool = True) -> None:
    clip(root / "Videos" / "Abuse" / "Abuse001_x264.mp4", empty=empty)
    clip(root / "Videos" / "Normal" / "Normal_Videos_003_x264.mp4", empty=empty)
    write(
        root / "Anomaly_Train.txt",
        "Abuse/Abuse001_x264.mp4\nTraining_Normal_Videos_Anomaly/Normal_Videos_003_x264.mp4\n",
    )


def animal_kingdom(root: Path, empty: bool = True) -> None:
    for name in ("AANNQNXN", "ABASTCVX", "BJVSVGCS"):
        clip(root / "dataset" / f"{name}.mp4", empty=empty)
    write(
        root / "annotation" / "train.txt",
        "AANNQNXN 1.0 2.0##The jellyfish is swimming.\nAANNQNXN 0.2 0.9##The bird dips its face into the water.\n"
        "ABASTCVX 0.0 1.5##The whooper swan is flying.\nABASTCVX 1.5 2.5##The whooper swan makes a landing.\n",
    )
    write(
        root / "annotation" / "test.txt",
        "BJVSVGCS 0.5 1.0##The lion is walking.\nBJVSVGCS 1.0 2.0##The lion is keeping still.\n",
    )
    write(
        root / "AR_metadata.csv",
        "video_id,labels,list_animal_parent_class\nAANNQNXN,1,\"['Bird', 'Sea-animal']\"\n"
        "ABASTCVX,3,['Bird']\nBJVSVGCS,4,['Mammal']\n",
    )


def table(root: Path, empty: bool = True) -> None:
    """Its clips are never empty: they are opened when it is read."""
    clip(root / "clips" / "a.mp4", empty=False)
    clip(root / "clips" / "b.mp4", empty=False)
    write(
        root / "claims.csv",
        "clip,start,end,text,question,answer,split\n"
        'a,0.5,0:02,"The van backs out, slowly.",,,train\nb.mp4,,,,Which car moves?,The white one.,val\n',
    )
    boxes = [Box(0, (5, 5, 30, 20)), Box(29, (30, 5, 30, 20))]
    write(root / "boxes" / "a.xml", cvat_of("a.mp4", {"car": boxes}))


def labels(root: Path, empty: bool = True) -> None:
    picture(root / "frames" / "a" / "000004.jpg", size=(64, 48))
    label = {"clip": "a", "kind": "feature", "ask": "What colour is the light?", "frames": [0, 9], "times_s": [0, 1.8]}
    label |= {"shown": [4], "confidence": 0.9, "by": ["one"], "options": {"red": "red", "green": "green"}}
    sure = label | {"id": "a/light/0", "name": "light", "value": "red", "sure": True}
    asked = label | {"id": "a/light/9", "name": "light", "value": "green", "sure": False, "why": "an impossible order"}
    boxes = {"id": "a/1", "kind": "track", "name": "1", "value": "car", "boxes": [[4, 1.5, 2, 30, 20]], "shown": []}
    dump_lines(root / "labels.jsonl", [sure, asked, sure | boxes])
    answer = {"id": "a/light/9", "value": "green", "answer": "corrected", "right": "red"}
    dump_lines(root / "answers.jsonl", [answer, {"id": "a/1", "value": "car", "answer": "yes"}])


SMALL_SETS: dict[str, tuple[str, Callable[[Path, bool], None]]] = {
    "table": ("table", table),
    "llava": ("llava", llava),
    "mixture": ("llava", mixture),
    "sharegpt": ("sharegpt", sharegpt),
    "messages": ("messages", messages),
    "datasets": ("datasets", datasets),
    "wts-vqa": ("wts-vqa", wts_vqa),
    "drivelm": ("drivelm", drivelm),
    "lingoqa": ("lingoqa", lingoqa),
    "nuscenes-qa": ("nuscenes-qa", nuscenes_qa),
    "bdd-x": ("bdd-x", bddx),
    "jaad": ("jaad", jaad),
    "video-qa": ("video-qa", video_qa),
    "ucf-crime": ("ucf-crime", ucf_crime),
    "animal-kingdom": ("animal-kingdom", animal_kingdom),
    "labels": ("labels", labels),
}
"""By name: the source that reads it, and what writes it (with empty videos or real ones)."""


# Boxes of annotation tools


def coco(root: Path) -> None:
    dump(
        root / "coco.json",
        {
            "images": [{"id": n, "file_name": f"clip/{n:06d}.jpg", "width": 112, "height": 48} for n in (0, 1)],
            "annotations": [
                {"id": 1, "image_id": 0, "category_id": 3, "bbox": [1, 2, 30, 20], "track_id": 5},
                {"id": 2, "image_id": 1, "category_id": 3, "bbox": [3, 2, 30, 20], "track_id": 5},
            ],
            "categories": [{"id": 3, "name": "car"}],
        },
    )


def mot(root: Path) -> None:
    write(root / "clip" / "gt" / "gt.txt", "1,7,10,20,30,40,1,1,0.9\n2,7,12,20,30,40,1,1,0.9\n2,8,1,1,5,5,0,1,1\n")


def yolo(root: Path) -> None:
    write(root / "classes.txt", "person\ncar\n")
    picture(root / "images" / "clip_1.png", size=(100, 50))
    write(root / "labels" / "clip_1.txt", "1 0.5 0.5 0.2 0.4\n0 0.1 0.5 0.1 0.2 0.9 4\n")


def label_studio(root: Path) -> None:
    keys: list[dict[str, Any]] = [
        {"frame": frame, "x": x, "y": 10, "width": 20, "height": 30, "enabled": enabled, "time": frame / 25}
        for frame, x, enabled in ((1, 10, True), (5, 30, False), (9, 50, True))
    ]
    result = {
        "id": "abc",
        "type": "videorectangle",
        "original_width": 200,
        "original_height": 100,
        "value": {"framesCount": 30, "sequence": keys, "labels": ["Car"]},
    }
    dump(root / "export.json", [{"data": {"video": "/data/upload/clip.mp4"}, "annotations": [{"result": [result]}]}])


def fiftyone(root: Path) -> None:
    """As `FiftyOneDataset` is exported: a video, its boxes frame by frame in a file of their own."""
    oid = {"$oid": "6527f0a1c0ffee0000000001"}
    size = {"_cls": "VideoMetadata", "frame_width": 200, "frame_height": 100, "total_frame_count": 30}
    sample = {"_id": oid, "filepath": "data/clip.mp4", "_media_type": "video", "tags": [], "metadata": size}
    dump(root / "metadata.json", {"version": "1.5", "media_type": "video", "sample_fields": []})
    dump(root / "samples.json", {"samples": [sample]})
    detection = {"_cls": "Detection", "label": "car", "bounding_box": [0.1, 0.2, 0.3, 0.4], "index": 7, "tags": []}
    moved = {**detection, "bounding_box": [0.2, 0.2, 0.3, 0.4]}
    frames = [
        {"_sample_id": oid, "frame_number": number, "detections": {"_cls": "Detections", "detections": [box]}}
        for number, box in ((1, detection), (2, moved))
    ]
    dump(root / "frames.json", {"frames": frames})


def fiftyone_images(root: Path) -> None:
    """As `FiftyOneImageDetectionDataset` is exported: images, and the boxes of all in one file."""
    picture(root / "data" / "clip_000003.png", size=(200, 100))
    boxes = [{"label": 1, "bounding_box": [0.1, 0.2, 0.3, 0.4], "confidence": 0.9}]
    dump(root / "labels.json", {"classes": ["person", "car"], "labels": {"clip_000003": boxes}})


def cvat(root: Path) -> None:
    write(root / "clip.xml", cvat_xml())


BOXES: dict[str, Callable[[Path], None]] = {
    "cvat": cvat,
    "coco": coco,
    "mot": mot,
    "yolo": yolo,
    "label-studio": label_studio,
    "fiftyone": fiftyone,
    "fiftyone-images": fiftyone_images,
}
