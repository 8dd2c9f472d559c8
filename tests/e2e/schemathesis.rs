//! Schemathesis invents requests from the description; every answer is held against it, by a reader that is not ours.
//!
//! Installed once, pinned, like the other Python packages here. `cargo xtask schemathesis --cases N` plays more.

use domain::time::Ttl;
use serde_json::Value;

use crate::foreign_verifiers::python_with;
use crate::world::in_world_with;

const SCHEMATHESIS: &str = "schemathesis==4.32.5";
const CASES: &str = "500";
const SEED: &str = "1";

#[test]
fn no_request_that_schemathesis_invents_is_answered_otherwise_than_described() {
    let set = |name: &str, otherwise: &str| std::env::var(name).unwrap_or_else(|_| otherwise.to_owned());
    let (cases, seed) = (set("CLAVIGER_SCHEMATHESIS_CASES", CASES), set("CLAVIGER_SCHEMATHESIS_SEED", SEED));
    in_world_with(
        |settings| settings.budgets.enforced = false,
        async |world| {
            let program = python_with("schemathesis-4.32.5", &[SCHEMATHESIS], "schemathesis_cases.py").await;
            let token = world.platform_token(Ttl::hours(12)).await;
            let output = program.command(&[&world.base_url, &cases, &seed]).env("CLAVIGER_TOKEN", token).output().await.expect("it runs");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let said: Value = serde_json::from_slice(&output.stdout).expect("JSON");
            eprintln!("{} cases over {} operations, seed {seed}: {}", said["cases"], said["operations"], said["statuses"]);
            assert!(said["cases"].as_u64() >= cases.parse().ok(), "{said:#}");
            let failures = said["failures"].as_object().expect("an object");
            assert!(failures.is_empty(), "{failures:#?}");
            // It was not all refused at the door.
            for status in ["200", "201", "400", "401", "404"] {
                assert!(said["statuses"].get(status).is_some(), "nothing was answered with {status}: {said:#}");
            }
        },
    );
}
