"""Requests that schemathesis invents from the description, at a running server; every answer is held against the description.

Arguments: the server's address, the number of cases, the seed. A platform token is in CLAVIGER_TOKEN. Prints a JSON object that says how
many cases were played, which statuses were answered, and what was not as it should be, each kind once.
"""

import json
import os
import random
import sys
from collections import Counter

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import checks
from schemathesis.core.failures import Failure, FailureGroup

BASE, CASES, SEED = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
PLATFORM = os.environ["CLAVIGER_TOKEN"]
PASSWORD = "wobbly-lantern-quartz-91-ferry"
METHODS = ("get", "put", "post", "delete", "patch")

checks.load_all_checks()
CHECKS = [
    checks.not_a_server_error,
    checks.CHECKS.get_one("status_code_conformance"),
    checks.CHECKS.get_one("content_type_conformance"),
    checks.CHECKS.get_one("response_headers_conformance"),
    checks.CHECKS.get_one("response_schema_conformance"),
]

session = requests.Session()
session.trust_env = False


def made(method, path, token=PLATFORM, **more):
    """An answer to a request that has to succeed."""
    answer = session.request(method, BASE + path, headers={"Authorization": f"Bearer {token}"}, timeout=30, **more)
    answer.raise_for_status()
    return answer.json() if answer.content else {}


class Stage:
    """A tenant with one of everything, so that addresses name what there is; new for each operation, because some take it away."""

    def __init__(self, number):
        self.slug = f"st-{os.environ.get('CLAVIGER_STAGE', '')}{number}"
        argon2 = {"memory_kib": 7168, "iterations": 5, "parallelism": 1}
        policy = {"argon2": argon2, "registration": {"access": "open"}}
        tenant = made("POST", "/admin/v1/tenants", json={"slug": self.slug, "name": self.slug, "policy": policy})
        admin = f"/admin/v1/tenants/{self.slug}"
        user = made("POST", f"{admin}/users", json={"username": "alice", "email": "alice@example.com", "password": PASSWORD, "roles": ["claviger:admin"]})
        form = {"username": "alice", "password": PASSWORD, "scope": "account admin"}
        tokens = session.post(f"{BASE}/t/{self.slug}/login", json=form, timeout=30).json()
        self.user_token = tokens["access_token"]
        client = made("POST", f"{admin}/clients", json={"redirect_uris": ["https://app.example/cb"]})
        api = made("POST", f"{admin}/resources", json={"identifier": "https://api.example/", "name": "API"})
        initial = made("POST", f"{admin}/initial-access-tokens", json={})
        keys = made("GET", f"{admin}/keys")
        told = made("GET", f"/t/{self.slug}/me", token=self.user_token)
        self.client_id, self.refresh_token = client["client_id"], tokens["refresh_token"]
        self.names = {
            "slug": self.slug,
            "tenant": tenant["id"],
            "user": user["id"],
            "client": client["client_id"],
            "secret": (client.get("secrets") or [{"id": "sec_x"}])[0]["id"],
            "resource": api["id"],
            "token": initial["id"],
            "session": told["session_id"],
            "kid": keys["signing_kid"],
            "level": "entries",
            "tile": "000.p",
            "tile2": "1",
            "width": "1",
            "file": "page.css",
        }


class Found:
    """What was played, and what was not as it should be."""

    def __init__(self):
        self.cases = 0
        self.statuses = Counter()
        self.failures = {}

    def add(self, operation, failure, case, answer):
        kind = f"{operation} {type(failure).__name__} {answer.status_code}"
        self.failures.setdefault(kind, f"{case.as_curl_command()}\n{failure}"[:3000].replace(PLATFORM, "TOKEN"))


def play(operation, stage, count, found, dice):
    method, path = operation.method.upper(), operation.path

    @seed(SEED)
    @settings(max_examples=count, deadline=None, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy())
    def once(case):
        for name in list(case.path_parameters or {}):
            if name in stage.names and dice.random() < 0.8:
                case.path_parameters[name] = stage.names[name]
        caller = dice.random()
        headers = dict(case.headers or {})
        if caller < 0.6:
            headers["Authorization"] = f"Bearer {PLATFORM}"
        elif caller < 0.9:
            headers["Authorization"] = f"Bearer {stage.user_token}"
        case.headers = headers
        if isinstance(case.body, dict) and case.media_type == "application/x-www-form-urlencoded":
            for name, real in (("client_id", stage.client_id), ("refresh_token", stage.refresh_token)):
                if name in case.body and dice.random() < 0.5:
                    case.body[name] = real
        answer = case.call(base_url=BASE, session=session, timeout=30, allow_redirects=False)
        found.cases += 1
        found.statuses[answer.status_code] += 1
        try:
            case.validate_response(answer, checks=CHECKS)
        except FailureGroup as group:
            for failure in group.exceptions:
                found.add(f"{method} {path}", failure, case, answer)
        except Failure as failure:
            found.add(f"{method} {path}", failure, case, answer)

    once()


def main():
    description = session.get(f"{BASE}/openapi.json", timeout=30).json()
    schema = schemathesis.openapi.from_dict(description)
    operations = [result.ok() for result in schema.get_all_operations()]
    dice, found = random.Random(SEED), Found()
    for number, operation in enumerate(operations):
        left = CASES - found.cases
        count = -(-left // (len(operations) - number))
        if count <= 0:
            break
        stage = Stage(number)
        before = found.cases
        while found.cases - before < count:
            played = found.cases
            play(operation, stage, count - (played - before), found, dice)
            # An operation without parameters and body has few different cases.
            if found.cases - played < 5:
                break
    print(json.dumps({
        "cases": found.cases,
        "operations": len(operations),
        "statuses": {str(status): count for status, count in sorted(found.statuses.items())},
        "failures": found.failures,
    }))


main()
