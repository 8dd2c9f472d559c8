//! Plays every target's corpus, and mutations of it, with numbers that come back.
//!
//! `CLAVIGER_FUZZ_SEED` plays other ones, `CLAVIGER_FUZZ_TIMES` that many times as many. A failure prints the input; put it into the
//! folder of the target, and it is played for ever.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use fuzz::mutate::{Dice, mutated};
use fuzz::{TARGETS, Target, named};

const SEED: u64 = 0xc1a7_19e2;

fn set(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name} must be a number")))
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

/// The corpus of a target: one input a file, in the order of their names.
fn corpus(target: &Target) -> Vec<Vec<u8>> {
    let folder = folder().join(target.name);
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("readable").path())
        .collect();
    files.sort();
    files.iter().map(|file| std::fs::read(file).expect("readable")).collect()
}

fn play(name: &str) {
    let target = named(name).unwrap_or_else(|| panic!("no target {name}"));
    let (seed, times) = (set("CLAVIGER_FUZZ_SEED", SEED), set("CLAVIGER_FUZZ_TIMES", 1));
    eprintln!("{name}: seed {seed}");
    let corpus = corpus(target);
    assert!(!corpus.is_empty(), "{name} has no corpus");
    let holds = |input: &[u8], which: &str| {
        let held = catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
        let shown = String::from_utf8_lossy(input);
        assert!(held.is_ok(), "{name}, seed {seed}, {which}:\n{}\n{shown}", input.escape_ascii());
    };
    holds(b"", "nothing");
    for (number, input) in corpus.iter().enumerate() {
        holds(input, &format!("corpus file {number}"));
    }
    let mut dice = Dice::new(seed, name);
    for round in 0..u64::from(target.rounds) * times {
        holds(&mutated(&mut dice, &corpus, target.words), &format!("round {round}"));
    }
}

/// A test for each, so that they run side by side and each failure has a name.
macro_rules! each {
    ($($test:ident = $name:literal),* $(,)?) => {
        $(#[test]
        fn $test() {
            play($name);
        })*

        #[test]
        fn every_target_is_played_and_every_folder_is_a_targets() {
            let played = BTreeSet::from([$($name),*]);
            let targets: BTreeSet<_> = TARGETS.iter().map(|target| target.name).collect();
            assert_eq!(played, targets);
            let entries = std::fs::read_dir(folder()).expect("the corpus");
            let folders: BTreeSet<_> = entries.map(|entry| entry.expect("readable").file_name().into_string().expect("UTF-8")).collect();
            assert_eq!(folders, targets.into_iter().map(str::to_owned).collect());
        }
    };
}

each! {
    a_form_is_read_as_it_would_be_written = "form",
    credentials_in_a_header_are_read_as_they_would_be_written = "basic",
    a_cookie_that_is_read_was_sent_by_that_name = "cookies",
    s151_an_address_is_believed_of_proxies_alone = "forwarded",
    a_host_has_one_spelling = "host",
    what_is_known_was_listed = "if-none-match",
    r08_a_redirect_uri_is_the_registered_one_or_has_another_port_of_this_machine = "redirect-uri",
    an_origin_is_written_as_browsers_do = "web-origin",
    an_api_is_called_by_what_was_written = "resource-uri",
    s054_a_key_that_is_taken_is_strong_and_public = "jwks",
    client_metadata_that_is_taken_fits_together = "client-metadata",
    a_claims_parameter_survives_being_kept = "claims",
    s032_details_that_are_taken_are_of_their_type_and_shown_whole = "authorization-details",
    a_language_is_one_that_was_asked_for = "languages",
    a_tile_has_one_address = "tile",
    a_note_that_nobody_signed_is_none = "note",
    r25_a_handle_has_one_spelling_and_one_kind = "handles",
    an_id_has_one_spelling = "ids",
    a_name_settles = "words",
    a_moment_that_is_taken_can_be_written = "moments",
    a_hash_from_elsewhere_has_a_bounded_cost = "password-hash",
    an_access_token_that_is_taken_was_really_signed = "access-token",
    an_id_token_hint_that_is_taken_was_really_signed = "id-token-hint",
    an_assertion_that_is_taken_was_really_signed = "client-assertion",
    a_request_object_that_is_taken_was_really_signed = "request-object",
    a_proof_that_is_taken_was_really_signed = "dpop-proof",
}

/// That most inputs are refused is no proof of anything: some of the corpus must get through to the property.
#[test]
fn the_corpus_holds_what_is_taken_as_well() {
    use domain::client::redirect_uri::RedirectUri;
    let of = |name: &str| corpus(named(name).expect("a target"));
    let texts = |name: &str| of(name).into_iter().map(|input| String::from_utf8_lossy(&input).into_owned()).collect::<Vec<_>>();
    assert!(of("form").iter().filter(|body| api::untrusted::form(body).is_some()).count() >= 2);
    let uris = texts("redirect-uri");
    let meant = uris.iter().filter(|text| {
        let (registered, asked) = text.split_once('\n').unwrap_or((text, text));
        registered != asked && registered.parse::<RedirectUri>().is_ok_and(|uri| uri.is_meant_by(asked))
    });
    assert!(meant.count() >= 2);
    assert!(texts("tile").iter().filter(|text| text.parse::<transparency::tile::Tile>().is_ok()).count() >= 3);
    assert!(texts("password-hash").iter().filter(|text| app::credentials::password::import(text).is_ok()).count() >= 4);
    for name in ["access-token", "id-token-hint", "client-assertion", "request-object", "dpop-proof"] {
        assert!(fuzz::taken(name, &of(name)) >= 1, "no input of {name} is taken");
    }
}
