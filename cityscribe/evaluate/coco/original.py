"""The original of the profile `coco`, for audits: the tokenizer and the scorers of an installed pycocoevalcap.

Runs its two jars itself, so that what goes wrong in its wrappers does not: the language of the Java machine is fixed
(numbers with a decimal comma are misread), temporary files lie in the system's folder, a line break within a caption is
a space, standard error is drained, and a machine that hangs is stopped.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from cityscribe.evaluate.coco.lexicon import package_folder
from cityscribe.evaluate.coco.tokens import one_line
from cityscribe.files import InputError, naming

JAVA_OPTIONS = ("-Duser.language=en", "-Duser.country=US", "-Dfile.encoding=UTF-8", "-XX:+UseSerialGC")
START_S = 300.0  # to read its tables takes METEOR ten seconds, and more on a busy machine
CAPTION_S = 1.0


def java_version() -> str:
    """The first line of `java -version`. Raises InputError where there is no Java."""
    if shutil.which("java") is None:
        raise InputError("evaluate.backend=java: no `java` on the PATH; install Java, or set evaluate.backend=python")
    ran = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False)
    return (ran.stderr or ran.stdout).partition("\n")[0]


def original_tokens(captions: Sequence[str]) -> list[list[str]]:
    """The tokens of captions, in lower case and without punctuation, from the original tokenizer."""
    from pycocoevalcap.tokenizer.ptbtokenizer import PUNCTUATIONS

    jar = package_folder() / "tokenizer" / "stanford-corenlp-3.4.1.jar"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "captions.txt"
        with naming(file):
            file.write_text("\n".join(map(one_line, captions)), encoding="utf-8")
        command = ["-cp", str(jar), "edu.stanford.nlp.process.PTBTokenizer", "-preserveLines", "-lowerCase", str(file)]
        lines = _run_java(command, len(captions)).split("\n")
    return [[token for token in line.rstrip().split(" ") if token and token not in PUNCTUATIONS] for line in lines][
        : len(captions)
    ]


def original_meteor(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> tuple[float, list[float]]:
    """METEOR 1.5 of the corpus and of each prediction, from its jar."""
    folder = package_folder() / "meteor"
    command = ["java", *JAVA_OPTIONS, "-Xmx2G", "-jar", str(folder / "meteor-1.5.jar")]
    command += ["-", "-", "-stdio", "-l", "en", "-norm"]
    lines = [
        " ||| ".join(["SCORE", *map(one_line, texts), one_line(text).replace("|||", "").replace("  ", " ")]) + "\n"
        for text, texts in zip(predictions, references, strict=True)
    ]
    with subprocess.Popen(
        command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, encoding="utf-8"
    ) as process:
        stopping = threading.Timer(START_S + CAPTION_S * len(lines), process.kill)
        stopping.start()
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            # It answers each line at once: writing and reading in turn would fill one pipe or the other.
            writer = threading.Thread(target=_write, args=(process.stdin, "".join(lines)))
            writer.start()
            statistics = [process.stdout.readline().strip() for _ in lines]
            writer.join()
            _write(process.stdin, " ||| ".join(["EVAL", *statistics]) + "\n")
            values = [float(process.stdout.readline()) for _ in range(len(lines) + 1)]
        except ValueError as error:
            raise InputError(f"{folder / 'meteor-1.5.jar'}: METEOR stopped without an answer: {error}") from error
        finally:
            stopping.cancel()
            process.kill()
    return values[-1], values[:-1]


def _write(pipe: IO[str], text: str) -> None:
    try:
        pipe.write(text)
        pipe.flush()
    except BrokenPipeError:
        pass  # the reader finds out, and says so


def _run_java(arguments: list[str], captions: int) -> str:
    command = ["java", *JAVA_OPTIONS, *arguments]
    try:
        ran = subprocess.run(command, capture_output=True, check=True, timeout=START_S + CAPTION_S * captions)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise InputError(f"evaluate.backend=java: {arguments[1]} failed: {error}") from error
    return ran.stdout.decode("utf-8")
