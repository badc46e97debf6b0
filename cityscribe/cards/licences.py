"""Licences by their SPDX ids, which tools compare; whatever else somebody writes is kept in their words."""

from __future__ import annotations

NOT_STATED = "not stated"

SPDX = (
    *("AFL-3.0", "AGPL-3.0-only", "Apache-2.0", "Artistic-2.0", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0"),
    *("C-UDA-1.0", "CC-BY-2.0", "CC-BY-3.0", "CC-BY-4.0", "CC-BY-NC-2.0", "CC-BY-NC-3.0", "CC-BY-NC-4.0"),
    *("CC-BY-NC-ND-3.0", "CC-BY-NC-ND-4.0", "CC-BY-NC-SA-2.0", "CC-BY-NC-SA-3.0", "CC-BY-NC-SA-4.0", "CC-BY-ND-4.0"),
    *("CC-BY-SA-3.0", "CC-BY-SA-4.0", "CC0-1.0", "CDLA-Permissive-1.0", "CDLA-Permissive-2.0", "CDLA-Sharing-1.0"),
    *("ECL-2.0", "EPL-2.0", "EUPL-1.2", "GPL-2.0-only", "GPL-3.0-only", "GPL-3.0-or-later", "ISC", "LGPL-2.1-only"),
    *("LGPL-3.0-only", "MIT", "MPL-2.0", "ODbL-1.0", "ODC-By-1.0", "OFL-1.1", "PDDL-1.0", "PostgreSQL", "Unlicense"),
    *("Zlib",),
)
"""Ids of the SPDX list that models and data sets are published under."""

IDS = {
    **{name.lower(): name for name in SPDX},
    **{name.lower().removesuffix("-only"): name for name in SPDX if name.endswith("-only")},  # as cards write them
    "odc-by": "ODC-By-1.0",
    "odbl": "ODbL-1.0",
    "pddl": "PDDL-1.0",
}


def normalised(licence: str) -> str:
    """The SPDX id that somebody's words are, in its own spelling; else the words; NOT_STATED for none."""
    words = " ".join(licence.split())
    if words.lower() in ("", "unknown", NOT_STATED):
        return NOT_STATED
    return IDS.get(words.lower().replace(" ", "-"), words)


def is_spdx(licence: str) -> bool:
    return licence in SPDX
