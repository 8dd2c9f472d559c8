//! The refresh protocol by example; by exhaustion it is checked in `tests/refresh_model.rs`.

use super::*;
use crate::keys::ring::PublicJwk;

const W: Ttl = Ttl::seconds(10);
const RULES: RefreshRules = RefreshRules { retry_window: W, replay_cap: 3, idle_ttl: Ttl::days(14) };
const STRICT: RefreshRules = RefreshRules { retry_window: Ttl::ZERO, ..RULES };

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(1_000 + seconds)
}

fn family() -> RefreshFamily {
    RefreshFamily {
        id: FamilyId::new(at(0), [1; 10]),
        user_id: UserId::new(at(0), [2; 10]),
        client_id: ClientId::first_party(),
        scope: Scope::default_grant(),
        resources: [].into(),
        details: AuthorizationDetails::none(),
        binding: Binding::Bearer,
        auth_time: at(0),
        head: Head::first(at(0)),
        idle_expires_at: at(0).plus(Ttl::days(14)),
        absolute_expires_at: at(0).plus(Ttl::days(90)),
        revoked: None,
        created_at: at(0),
        sign_on: None,
        user_agent: None,
        source: None,
    }
}

/// Presents, and applies what came back.
fn present(family: &mut RefreshFamily, generation: u32, rules: RefreshRules, now: Timestamp) -> &'static str {
    let client_id = ClientId::first_party();
    let presented = Presented { generation: Generation::from_u32(generation), client_id: &client_id, binding: Binding::Bearer };
    match family.present(presented, rules, now) {
        Presentation::Rotate { head, idle_expires_at } => {
            (family.head, family.idle_expires_at) = (head, idle_expires_at);
            "rotate"
        }
        Presentation::Replace { head, idle_expires_at } => {
            (family.head, family.idle_expires_at) = (head, idle_expires_at);
            "replace"
        }
        Presentation::Replay { head } => {
            family.head = head;
            "replay"
        }
        Presentation::Reuse => {
            family.revoked = Some(Revocation { at: now, cause: RevocationCause::Reuse });
            "reuse"
        }
        Presentation::Refused(Refused::Revoked) => "revoked",
        Presentation::Refused(Refused::Expired) => "expired",
        Presentation::Refused(_) => "refused",
        Presentation::SlowDown { .. } => "slow down",
    }
}

#[test]
fn two_tabs_get_the_same_successor() {
    let mut family = family();
    assert_eq!(present(&mut family, 1, RULES, at(60)), "rotate");
    assert_eq!(present(&mut family, 1, RULES, at(69)), "replay");
    assert_eq!(family.head.current, Generation::from_u32(2));
}

#[test]
fn a_lost_response_is_made_good_hours_later_and_the_lost_token_is_dead() {
    let mut family = family();
    assert_eq!(present(&mut family, 1, RULES, at(60)), "rotate");
    assert_eq!(present(&mut family, 1, RULES, at(7_200)), "replace");
    assert_eq!(family.head.current, Generation::from_u32(3));
    assert_eq!(present(&mut family, 1, RULES, at(7_205)), "replay", "the retry has a window of its own");
    assert_eq!(present(&mut family, 2, RULES, at(7_206)), "reuse", "a dead successor that shows up is theft");
    assert_eq!(present(&mut family, 3, RULES, at(7_207)), "revoked");
}

#[test]
fn s078_a_token_whose_successor_was_used_kills_the_family_after_the_window() {
    let mut family = family();
    assert_eq!(present(&mut family, 1, RULES, at(60)), "rotate");
    assert_eq!(present(&mut family, 2, RULES, at(960)), "rotate");
    assert_eq!(present(&mut family, 1, RULES, at(961)), "reuse");
    assert_eq!(present(&mut family, 3, RULES, at(962)), "revoked");
}

#[test]
fn a_slow_tab_survives_quick_ones_within_the_window() {
    let mut family = family();
    for generation in 1..=4 {
        assert_eq!(present(&mut family, generation, RULES, at(60 + i64::from(generation))), "rotate");
    }
    assert_eq!(present(&mut family, 1, RULES, at(70)), "replay", "superseded at 61, answered until 71");
    assert_eq!(family.head.current, Generation::from_u32(5));
    assert_eq!(present(&mut family, 1, RULES, at(71)), "reuse");
}

#[test]
fn only_the_last_four_are_remembered() {
    let mut family = family();
    for generation in 1..=5 {
        assert_eq!(present(&mut family, generation, RULES, at(60)), "rotate");
    }
    assert_eq!(present(&mut family, 2, RULES, at(61)), "replay");
    assert_eq!(present(&mut family, 1, RULES, at(61)), "reuse");
}

#[test]
fn a_strict_tenant_takes_no_old_token_at_all() {
    let mut family = family();
    assert_eq!(present(&mut family, 1, STRICT, at(60)), "rotate");
    assert_eq!(present(&mut family, 1, STRICT, at(60)), "reuse");
}

#[test]
fn a_client_in_a_loop_is_slowed_down_and_not_logged_out() {
    let mut family = family();
    assert_eq!(present(&mut family, 1, RULES, at(60)), "rotate");
    for _ in 0..3 {
        assert_eq!(present(&mut family, 1, RULES, at(61)), "replay");
    }
    assert_eq!(present(&mut family, 1, RULES, at(61)), "slow down");
    assert_eq!(present(&mut family, 1, RULES, at(71)), "replace");
}

#[test]
fn a_generation_that_was_never_issued_is_reuse() {
    assert_eq!(present(&mut family(), 2, RULES, at(1)), "reuse");
    assert_eq!(present(&mut family(), 0, RULES, at(1)), "reuse");
}

#[test]
fn s081_idle_and_absolute_lifetimes_are_both_enforced() {
    let mut family = family();
    assert_eq!(present(&mut family, 1, RULES, at(0).plus(Ttl::days(14))), "expired");
    let mut now = at(0);
    for generation in 1..=7 {
        now = now.plus(Ttl::days(13));
        assert_eq!(present(&mut family, generation, RULES, now), if generation < 7 { "rotate" } else { "expired" }, "{now}");
    }
    assert_eq!(family.ends_at(), at(0).plus(Ttl::days(90)), "never beyond the absolute end");
}

#[test]
fn s076_another_client_gets_nothing_and_ends_nothing() {
    let family = family();
    let other = ClientId::try_from("other".to_owned()).expect("parses");
    let presented = Presented { generation: Generation::FIRST, client_id: &other, binding: Binding::Bearer };
    assert_eq!(family.present(presented, RULES, at(1)), Presentation::Refused(Refused::OtherClient));
    let ours = ClientId::first_party();
    let presented = Presented { generation: Generation::FIRST, client_id: &ours, binding: Binding::Cookie };
    assert_eq!(family.present(presented, RULES, at(1)), Presentation::Refused(Refused::OtherBinding));
}

#[test]
fn s083_a_token_that_is_bound_to_a_key_or_a_certificate_comes_with_it_alone() {
    let [key, other] = ["a", "b"].map(|x| Binding::Dpop(Thumbprint::of(&PublicJwk::OKP { crv: "Ed25519".to_owned(), x: x.to_owned() })));
    let [paper, forged] = ["a", "b"].map(|der| Binding::Certificate(Thumbprint::of_certificate(der.as_bytes())));
    let all = [Binding::Bearer, Binding::Cookie, key, other, paper, forged];
    for (bound, takes) in [
        (Binding::Bearer, [true, false, true, true, true, true]),
        (Binding::Cookie, [false, true, false, false, false, false]),
        (key, [false, false, true, false, false, false]),
        (other, [false, false, false, true, false, false]),
        (paper, [false, false, false, false, true, false]),
        (forged, [false, false, false, false, false, true]),
    ] {
        assert_eq!(all.map(|presented| bound.takes(presented)), takes, "{bound}");
        assert_eq!(Binding::from_name(&bound.to_string()), Some(bound));
    }
    for bad in ["dpop:x", "x5t#S256:x", "x5t#S256:", "cert"] {
        assert_eq!(Binding::from_name(bad), None);
    }
}
