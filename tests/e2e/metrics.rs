//! What `/metrics` shows: all of it is written down, it is true, and none of it tells a tenant.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use crate::world::{World, in_world};

const DOCUMENTED: &str = include_str!("../../docs/src/metrics.md");

/// Labels that tell nothing about anybody.
const LABELS: [&str; 11] = ["budget", "le", "listener", "method", "outcome", "pool", "route", "state", "status", "table", "version"];

/// One line of the exposition text: its name, its labels, its value.
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

fn samples(text: &str) -> Vec<Sample> {
    let sample = |line: &str| {
        let (what, value) = line.rsplit_once(' ').expect("a value");
        let (name, labels) = what.split_once('{').unwrap_or((what, ""));
        // No value of ours holds a comma or a quote.
        let labels = labels.trim_end_matches('}').split(',').filter(|label| !label.is_empty());
        let label = |label: &str| {
            let (name, value) = label.split_once('=').unwrap_or_else(|| panic!("no label: {label} in {line}"));
            (name.to_owned(), value.trim_matches('"').to_owned())
        };
        Sample { name: name.to_owned(), labels: labels.map(label).collect(), value: value.parse().expect("a number") }
    };
    text.lines().filter(|line| !line.starts_with('#')).map(sample).collect()
}

/// A login that fails, one that does not, a refresh, a rotation.
async fn traffic(world: &World, slug: &str) -> [String; 4] {
    let tenant = world.tenant(slug).await["id"].as_str().expect("an id").to_owned();
    let alice = world.alice(slug).await;
    world.login(slug, "alice", "not-her-password-at-all").await.is(401);
    world.refresh(slug, &alice.refresh_token).await.is(200);
    world.platform_admin().post(&format!("/admin/v1/tenants/{slug}/keys/rotate"), json!({ "algs": ["ES256"] })).await.is(202);
    world.anon().get(&format!("/t/{slug}/no-such-thing/alice")).await.is(404);
    [slug.to_owned(), tenant, alice.user, "alice".to_owned()]
}

#[test]
fn the_documented_metrics_are_those_that_are_shown() {
    in_world(async |world| {
        traffic(world, "acme").await;
        let text = world.metrics().await;
        let samples = samples(&text);
        let shown: BTreeSet<String> = text
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE "))
            .map(|line| {
                let (name, kind) = line.split_once(' ').expect("a type");
                let of_it = |sample: &&Sample| sample.name == name || sample.name.strip_prefix(name) == Some("_bucket");
                let first = samples.iter().find(of_it).unwrap_or_else(|| panic!("{name} has no sample"));
                let labels: Vec<_> = first.labels.keys().filter(|label| *label != "le").map(|label| format!("`{label}`")).collect();
                format!("| `{name}` | {kind} | {} |", if labels.is_empty() { "none".to_owned() } else { labels.join(", ") })
            })
            .collect();
        let documented: BTreeSet<String> = DOCUMENTED
            .lines()
            .filter(|line| line.starts_with("| `"))
            .map(|line| line.rsplitn(3, '|').nth(2).expect("four cells").trim_end().to_owned() + " |")
            .collect();
        let missing: Vec<_> = shown.difference(&documented).collect();
        let gone: Vec<_> = documented.difference(&shown).collect();
        assert!(missing.is_empty() && gone.is_empty(), "not in docs/src/metrics.md: {missing:#?}\nin there, but not shown: {gone:#?}");
    });
}

#[test]
fn the_dashboard_asks_for_nothing_that_is_not_there() {
    let dashboard = include_str!("../../deploy/grafana/dashboards/claviger.json");
    let words = dashboard.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let asked: BTreeSet<_> = words.filter(|word| word.starts_with("claviger_")).map(|word| word.trim_end_matches("_bucket")).collect();
    assert!(asked.len() > 15, "{asked:?}");
    let unknown: Vec<_> = asked.iter().filter(|name| !DOCUMENTED.contains(&format!("| `{name}` |"))).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

const ALERTS: &str = include_str!("../../deploy/alerts.yml");

/// What an expression asks for: a metric, and for each of its labels the values it names, where it names them in full.
fn asked(expressions: &str) -> Vec<(String, BTreeMap<String, Vec<String>>)> {
    let is_of_a_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut asked = Vec::new();
    let mut rest = expressions;
    while let Some(at) = ["claviger_", "process_"].into_iter().filter_map(|start| rest.find(start)).min() {
        let (name, after) = rest[at..].split_at(rest[at..].find(|c| !is_of_a_name(c)).expect("no file ends in a name"));
        let mut labels = BTreeMap::new();
        rest = after;
        let mut matchers = after.strip_prefix('{').unwrap_or("}");
        while !matchers.starts_with('}') {
            let (label, value) = matchers.split_once('"').expect("a quoted value");
            let (value, after) = value.split_once('"').expect("its end");
            let is_plain = value.chars().all(|c| is_of_a_name(c) || c == '|');
            let values = value.split('|').map(str::to_owned).filter(|_| is_plain && !label.contains('!')).collect();
            labels.insert(label.trim_start_matches([',', ' ']).trim_end_matches(['=', '~', '!']).to_owned(), values);
            (matchers, rest) = (after, after);
        }
        asked.push((name.to_owned(), labels));
    }
    asked
}

#[test]
fn the_alerts_ask_for_nothing_that_is_not_there() {
    in_world(async |world| {
        traffic(world, "acme").await;
        let shown = samples(&world.metrics().await);
        let asked = asked(&ALERTS.lines().filter(|line| !line.trim_start().starts_with('#')).collect::<Vec<_>>().join("\n"));
        assert!(asked.len() > 20, "{asked:#?}");
        for (name, labels) in asked {
            let its: Vec<_> = shown.iter().filter(|sample| sample.name == name).collect();
            assert!(!its.is_empty(), "no {name} is shown");
            // Prometheus adds that one.
            for (label, values) in labels.iter().filter(|(label, _)| *label != "job") {
                assert!(its.iter().all(|sample| sample.labels.contains_key(label)), "{name} has no label {label}");
                for value in values {
                    assert!(its.iter().any(|sample| sample.labels[label] == *value), "{name} is never shown with {label}={value}");
                }
            }
        }
    });
}

#[test]
fn for_every_alert_it_is_written_down_what_to_do() {
    let page = include_str!("../../docs/src/operating.md");
    let alerts: BTreeSet<_> = ALERTS.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    let explained = page.lines().filter(|line| line.starts_with("| `Claviger")).filter_map(|line| line.split('`').nth(1)).collect();
    assert_eq!(alerts, explained);
    let played = include_str!("../../deploy/alerts-test.yml");
    let unplayed: Vec<_> = alerts.iter().filter(|name| !played.contains(&format!("alertname: {name}\n"))).collect();
    assert!(unplayed.is_empty(), "never seen to fire in deploy/alerts-test.yml: {unplayed:?}");
}

#[test]
fn no_label_tells_a_tenant_or_a_user() {
    in_world(async |world| {
        let mut telling = Vec::new();
        for slug in ["acme-and-sons", "globex"] {
            telling.extend(traffic(world, slug).await);
        }
        let text = world.metrics().await;
        for Sample { name, labels, .. } in samples(&text) {
            for (label, value) in labels {
                assert!(LABELS.contains(&label.as_str()), "{name} has the label {label}");
                assert!(!telling.iter().any(|word| value.contains(word)), "{name} tells {label}={value}");
                assert!(value.len() < 80, "{name}: {label}={value}");
            }
        }
        let series = samples(&text).len();
        traffic(world, "initech").await;
        assert_eq!(samples(&world.metrics().await).len(), series, "another tenant adds no series");
    });
}

#[test]
fn the_metrics_say_what_has_happened() {
    in_world(async |world| {
        traffic(world, "acme").await;
        // After the rotation, so that the new ring is opened.
        world.sign_in("acme", "alice").await;
        let samples = samples(&world.metrics().await);
        let of = |name: &str, label: &str, value: &str| {
            let is_it =
                |sample: &&Sample| sample.name == name && (label.is_empty() || sample.labels.get(label).is_some_and(|is| is == value));
            samples.iter().filter(is_it).map(|sample| sample.value).sum::<f64>()
        };
        assert_eq!(of("claviger_logins_total", "outcome", "succeeded"), 2.0);
        assert_eq!(of("claviger_logins_total", "outcome", "bad_credentials"), 1.0);
        assert_eq!(of("claviger_refreshes_total", "outcome", "rotated"), 1.0);
        assert_eq!(of("claviger_refresh_committed_total", "", ""), 1.0);
        assert_eq!(of("claviger_refresh_commits_total", "", ""), 1.0);
        assert_eq!((of("claviger_key_actors", "", ""), of("claviger_key_actors_unsealed", "", "")), (1.0, 1.0));
        assert!(of("claviger_keys", "state", "staged") >= 1.0 && of("claviger_keys", "state", "active") >= 1.0);
        assert_eq!(of("claviger_database_connections_max", "pool", "writer"), 1.0);
        assert!(of("claviger_database_connections", "pool", "readers") >= 1.0);
        assert_eq!(of("claviger_build_info", "version", env!("CARGO_PKG_VERSION")), 1.0);
        assert_eq!(of("claviger_sweep_failures_total", "", ""), 0.0);
    });
}
