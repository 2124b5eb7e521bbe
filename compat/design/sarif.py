"""Each file against the schema, and what a code review needs beyond it."""

import json
import sys

import jsonschema

schema = json.load(open(sys.argv[1]))
failed = False
for path in sys.argv[2:]:
    name = path.rsplit("/", 1)[1]
    sarif = json.load(open(path))
    wrong = [f"{'/'.join(map(str, error.path))}: {error.message[:200]}"
             for error in jsonschema.validators.validator_for(schema)(schema).iter_errors(sarif)]
    run = sarif["runs"][0]
    rules = {rule["id"]: rule for rule in run["tool"]["driver"]["rules"]}
    for result in run["results"]:
        rule = rules.get(result["ruleId"])
        if rule is None or run["tool"]["driver"]["rules"][result["ruleIndex"]] is not rule:
            wrong.append(f"{result['ruleId']} has no rule")
            continue
        for part in ("name", "shortDescription", "fullDescription", "help", "defaultConfiguration"):
            if part not in rule:
                wrong.append(f"the rule {rule['id']} has no {part}")
        if not rule.get("help", {}).get("markdown", "").startswith("## What happened"):
            wrong.append(f"the help of {rule['id']} is not its page")
        # GitHub shows nothing that has no place, and takes a finding for a new one without a fingerprint.
        region = result["locations"][0]["physicalLocation"]["region"]
        if not region["startLine"] >= 1 or not result.get("partialFingerprints"):
            wrong.append(f"{result['ruleId']} has no place or no fingerprint")
    print(f"{'FAIL' if wrong else 'pass'} {name}: {len(run['results'])} findings{''.join(chr(10) + '  ' + one for one in wrong)}")
    failed |= bool(wrong)
    open_ones = any(not result.get("suppressions") for result in run["results"])
    if open_ones != (name in ("errors.sarif", "warnings.sarif")) or (name == "accepted.sarif") != (len(run["results"]) == 1):
        print(f"FAIL {name}: not what it should hold")
        failed = True
sys.exit(failed)
