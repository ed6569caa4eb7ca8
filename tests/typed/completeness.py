"""How much of what the package exports has a type that all type checkers see alike; `make lint` runs it.

It fails below 95 in a hundred, and where anything that CHANGELOG.md calls public is among the rest.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

LEAST = 0.95
PUBLIC = re.compile(
    r"chronos_storage\.(\w+$|(records|exceptions|models|config|signals|testing)(\.|$)|interfaces\.(agentos|agentx|ago)(\.|$)"
    r"|backends\.base\.|queues\.base\.|vectors\.base\.|api\.access\.)"
)


def main() -> None:
    scripts = Path(sys.executable).parent
    # It looks for libraries where the first python on the path does.
    environment = {**os.environ, "PATH": f"{scripts}{os.pathsep}{os.environ.get('PATH', '')}"}
    command = [str(scripts / "basedpyright"), "--verifytypes", "chronos_storage", "--ignoreexternal", "--outputjson"]
    output = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=False).stdout
    found = json.loads(output)["typeCompleteness"]
    missing = [
        symbol
        for symbol in found["symbols"]
        if symbol["isExported"] and (symbol["isTypeAmbiguous"] or not symbol["isTypeKnown"])
    ]
    public = [symbol for symbol in missing if PUBLIC.match(symbol["name"])]
    score = found["completenessScore"]
    low = score < LEAST
    for symbol in missing if low else public:
        print(symbol["name"], *(diagnostic["message"].replace("\n", " ") for diagnostic in symbol["diagnostics"]))
    print(f"{score:.1%} of the exported names have a known type; {len(public)} public ones have none")
    sys.exit(low or bool(public))


if __name__ == "__main__":
    main()
