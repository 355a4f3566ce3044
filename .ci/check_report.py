"""Fail if no test ran, if one failed, or if one was skipped although its data and packages are on this machine."""

import sys
import xml.etree.ElementTree as ET

cases = list(ET.parse(sys.argv[1]).getroot().iter("testcase"))
skipped = [
    (f"{case.get('classname')}.{case.get('name')}", reason.get("message") or "")
    for case in cases
    if (reason := case.find("skipped")) is not None
]
failed = [case for case in cases if case.find("failure") is not None or case.find("error") is not None]
ran = len(cases) - len(skipped)
print(f"{ran - len(failed)} passed, {len(failed)} failed, {len(skipped)} skipped")
for name, reason in skipped:
    print(f"  skipped: {name}: {reason}")
if any("not part of the repository" in reason for _, reason in skipped):
    sys.exit("Reference data are missing: put the folder `shared` beside the repository.")
if any("pip install '.[test]'" in reason for _, reason in skipped):
    sys.exit("A package of the extra `test` is missing, or is of another version.")
if not ran or failed:
    sys.exit("No test ran, or one failed.")
