//! What rules for claims are taken, and what they come to.
//!
//! Invariant: no token says something of its own by a rule.

use proptest::prelude::*;

use super::*;
use crate::details::AuthorizationDetails;
use crate::ids::{FamilyId, SsoSessionId, TenantId, TokenId, UserId};
use crate::keys::thumbprint::Thumbprint;
use crate::openid::{ClaimsOfScopes, ClaimsRequest, IdClaims};
use crate::resource::Target;
use crate::sso::{Authentication, Method, SignOn};
use crate::tenant::{Tenant, TenantPolicy, TenantStatus};
use crate::time::{Timestamp, Ttl};
use crate::token::claims::{AccessClaims, Act, Confirmation, Grant, Issuance, Subject};
use crate::user::{UserNames, UserStatus};

const NOW: Timestamp = Timestamp::from_seconds(1_700_000_000);
const ISSUER: &str = "https://id.example/t/acme";

fn rules(rules: Value) -> Result<ClaimRules, String> {
    let rules: ClaimRules = serde_json::from_value(rules).map_err(|error| error.to_string())?;
    rules.validated().map_err(|refused| refused.to_string())?;
    Ok(rules)
}

fn rule(more: Value) -> Value {
    let mut rule = json!({ "claim": "department", "from": { "attribute": "department" }, "into": ["access_token"] });
    for (name, value) in more.as_object().expect("members") {
        rule[name] = value.clone();
    }
    rule
}

fn alice(claims: Value) -> User {
    User {
        id: UserId::new(NOW, [1; 10]),
        names: UserNames::new("alice".parse().ok(), "alice@acme.example".parse().ok()).expect("names"),
        status: UserStatus::Active,
        roles: serde_json::from_value(json!(["boss", "clerk"])).expect("roles"),
        claims: serde_json::from_value(claims).expect("claims"),
        created_at: NOW,
        updated_at: NOW,
        password_changed_at: NOW,
        email_verified_at: None,
        password_change_required_at: None,
    }
}

/// What the rules tell of alice by this carrier, with this scope.
fn told(made: Value, claims: Value, carrier: Carrier, scope: &str) -> Value {
    let (client, scope) = (ClientId::first_party(), scope.parse().expect("a scope"));
    let audience = Audience::Many(vec!["https://orders.example".to_owned(), ISSUER.to_owned()]);
    let user = alice(claims);
    let on = Occasion {
        carrier,
        client: &client,
        scope: &scope,
        audience: (carrier == Carrier::AccessToken).then_some((&audience, &scope)),
        user: Some(&user),
        permissions: None,
        wishes: None,
    };
    Value::Object(rules(made).expect("good rules").told(on, ClaimRules::ROOM).claims)
}

#[test]
fn r72_no_rule_writes_a_name_that_somebody_decides_by_and_the_refusal_says_which_these_are() {
    for name in ClaimRules::RESERVED {
        for name in [name.to_owned(), name.to_uppercase()] {
            for into in ["access_token", "id_token", "userinfo"] {
                let refused =
                    rules(json!([rule(json!({ "claim": name, "from": { "constant": true }, "into": [into] }))])).expect_err(&name);
                assert!(refused.starts_with("rules[0].claim: "), "{refused}");
                assert!(ClaimRules::RESERVED.iter().all(|name| refused.contains(name)), "{refused}");
            }
        }
    }
}

#[test]
fn r72_whatever_our_tokens_say_themselves_no_rule_says() {
    let sign_on = SignOn {
        session_id: SsoSessionId::new(NOW, [2; 10]),
        authentication: Authentication::by(Method::Password, NOW),
        claims: ClaimsRequest::default(),
    };
    let policy = TenantPolicy {
        claims: serde_json::from_value(json!({ "username": true, "email": true })).expect("a policy"),
        ..TenantPolicy::default()
    };
    let tenant = tenant(policy);
    let (client, scope, target) = (ClientId::first_party(), "openid".parse().expect("a scope"), Target::usual());
    let jti = TokenId::new(NOW, [3; 10]);
    let issuance = Issuance {
        tenant: &tenant,
        issuer: ISSUER,
        client_id: &client,
        scope: &scope,
        target: &target,
        details: AuthorizationDetails::NONE,
        jti,
        now: NOW,
    };
    let user = alice(json!({}));
    let grant = || Grant {
        session_id: FamilyId::new(NOW, [4; 10]),
        session_ends_at: NOW.plus(Ttl::days(1)),
        subject: Subject::User(user.id),
        auth_time: NOW,
        sign_on: Some(&sign_on),
    };
    let mut access = AccessClaims::new(issuance, &user, grant());
    let (mut id, _) =
        IdClaims::new(issuance, &access, &user, grant(), Some("n".to_owned()), ClaimsOfScopes::InIdToken).expect("an ID token");
    id.at_hash = Some("h".to_owned());
    id.c_hash = Some("h".to_owned());
    access.permissions = Some(BTreeSet::new());
    access.cnf = Some(Confirmation::Dpop(serde_json::from_value::<Thumbprint>(json!("A".repeat(43))).expect("a thumbprint")));
    access.act = Some(Box::new(Act { sub: Subject::User(user.id), act: None }));
    for (into, said) in [("access_token", json!(access)), ("id_token", json!(id))] {
        let names: Vec<_> = said.as_object().expect("members").keys().cloned().collect();
        assert!(names.len() >= 11, "{names:?}");
        for name in names {
            for from in [json!({ "constant": "x" }), json!({ "roles": true }), json!({ "attribute": "email" })] {
                assert!(
                    rules(json!([rule(json!({ "claim": name, "from": from, "into": [into] }))])).is_err(),
                    "{name} into {into} from {from}"
                );
            }
        }
    }
}

fn tenant(policy: TenantPolicy) -> Tenant {
    Tenant {
        id: TenantId::new(NOW, [5; 10]),
        slug: "acme".parse().expect("a slug"),
        name: "Acme".parse().expect("a name"),
        custom_domain: None,
        status: TenantStatus::Active,
        policy,
        created_at: NOW,
        updated_at: NOW,
    }
}

#[test]
fn a_rule_that_will_not_do_is_refused_by_the_member_that_is_wrong() {
    let long = "x".repeat(1_024);
    let deep = json!([[[[[1]]]]]);
    let table = [
        (json!({ "claim": "" }), "claim"),
        (json!({ "claim": "a b" }), "claim"),
        (json!({ "claim": "größe" }), "claim"),
        (json!({ "claim": "x".repeat(129) }), "claim"),
        (json!({ "claim": "username", "from": { "attribute": "username" } }), "claim"),
        (json!({ "claim": "roles", "from": { "roles": true } }), "claim"),
        (json!({ "claim": "roles", "into": ["id_token"] }), "from"),
        (json!({ "claim": "email_verified", "from": { "constant": true } }), "from"),
        (json!({ "claim": "email", "from": { "attribute": "mail" }, "into": ["id_token"] }), "from"),
        (json!({ "claim": "preferred_username", "from": { "attribute": "username" } }), "from"),
        (json!({ "into": [] }), "into"),
        (json!({ "from": { "permissions": true }, "into": ["access_token", "id_token"] }), "into"),
        (json!({ "from": { "attribute": "sub" } }), "from.attribute"),
        (json!({ "from": { "attribute": "" } }), "from.attribute"),
        (json!({ "from": { "template": "{sub}" } }), "from.template"),
        (json!({ "from": { "constant": null } }), "from.constant"),
        (json!({ "from": { "constant": long } }), "from.constant"),
        (json!({ "from": { "constant": deep } }), "from.constant"),
        (json!({ "when": { "scope": "" } }), "when.scope"),
        (json!({ "when": { "audience": "a b" } }), "when.audience"),
        (json!({ "when": { "audience": "https://a.example" }, "into": ["userinfo"] }), "when.audience"),
    ];
    for (change, member) in table {
        let refused = rules(json!([rule(json!({ "claim": "other" })), rule(change.clone())])).expect_err("refused");
        assert!(refused.starts_with(&format!("rules[1].{member}: ")), "{change}: {refused}");
    }
}

#[test]
fn what_is_no_rule_is_not_read() {
    for change in [
        json!({ "from": {} }),
        json!({ "from": "roles" }),
        json!({ "from": { "roles": false } }),
        json!({ "from": { "permissions": 1 } }),
        json!({ "from": { "attribute": "a", "constant": 1 } }),
        json!({ "from": { "script": "1" } }),
        json!({ "into": ["refresh_token"] }),
        json!({ "into": "id_token" }),
        json!({ "when": [] }),
        json!({ "when": { "user": "x" } }),
        json!({ "when": { "client": "" } }),
        json!({ "colour": "red" }),
    ] {
        assert!(serde_json::from_value::<ClaimRules>(json!([rule(change.clone())])).is_err(), "{change}");
    }
    assert!(serde_json::from_value::<ClaimRules>(json!([["department", { "roles": true }, ["id_token"]]])).is_err(), "a list is no rule");
}

#[test]
fn a_claim_is_made_once_for_each_place_and_client() {
    let client = |client: &str| rule(json!({ "when": { "client": client } }));
    assert!(rules(json!([rule(json!({})), rule(json!({ "into": ["id_token", "access_token"] }))])).is_err());
    assert!(rules(json!([client("a"), client("a")])).is_err());
    assert!(rules(json!([rule(json!({ "when": { "scope": "a" } })), rule(json!({ "when": { "scope": "b" } }))])).is_err());
    assert!(rules(json!([rule(json!({})), rule(json!({ "into": ["id_token"] })), client("a"), client("b")])).is_ok());
}

#[test]
fn rules_are_bounded_in_number_and_size() {
    let many = |n: usize| (0..n).map(|n| rule(json!({ "claim": format!("c{n}"), "from": { "roles": true } }))).collect::<Value>();
    assert!(rules(many(ClaimRules::MOST)).is_ok());
    assert_eq!(rules(many(ClaimRules::MOST + 1)), Err("rules: at most 50".to_owned()));
    let large: Value = (0..9).map(|n| rule(json!({ "claim": format!("c{n}"), "from": { "constant": "x".repeat(1_000) } }))).collect();
    assert_eq!(rules(large), Err("rules: at most 8192 bytes as JSON".to_owned()));
}

#[test]
fn a_template_is_filled_whole_or_not_at_all() {
    let filled = |template: &str| {
        told(
            json!([rule(json!({ "from": { "template": template } }))]),
            json!({ "a": "A", "n": 7, "o": {}, "long": "x".repeat(1_024) }),
            Carrier::AccessToken,
            "",
        )
    };
    for (template, text) in [
        ("{a}", Some("A")),
        ("{a} {n}", Some("A 7")),
        ("{{{a}}}", Some("{A}")),
        ("<{username}:{email_verified}>", Some("<alice:false>")),
        ("{a} {missing}", None),
        ("{o}", None),
        ("{a}{long}", None),
    ] {
        assert_eq!(filled(template).get("department"), text.map(|text| json!(text)).as_ref(), "{template}");
    }
    let nine = "{a}".repeat(9);
    for bad in ["", "plain", "{", "}", "{}", "{a", "a}", "{a{b}}", "{{a}}", nine.as_str(), &format!("{{a}}{}", "x".repeat(254))] {
        assert!(Template::try_from(bad.to_owned()).is_err(), "{bad}");
    }
}

#[test]
fn a_rule_counts_when_all_that_it_asks_for_holds() {
    let made = |when: Value| json!([rule(json!({ "from": { "constant": 1 }, "when": when }))]);
    for (when, scope, is_told) in [
        (json!({}), "", true),
        (json!({ "scope": "a" }), "a b", true),
        (json!({ "scope": "a b" }), "a", false),
        (json!({ "audience": "https://orders.example" }), "", true),
        (json!({ "audience": "https://stock.example" }), "", false),
        (json!({ "audience": "https://orders.example", "scope": "a" }), "", false),
        (json!({ "client": "first-party" }), "", true),
        (json!({ "client": "cli_other" }), "", false),
    ] {
        assert_eq!(
            told(made(when.clone()), json!({}), Carrier::AccessToken, scope),
            if is_told { json!({ "department": 1 }) } else { json!({}) },
            "{when}"
        );
    }
    assert_eq!(told(made(json!({})), json!({}), Carrier::IdToken, ""), json!({}), "only where it is to go");
}

#[test]
fn a_rule_for_a_client_stands_in_the_place_of_the_one_for_all() {
    let of = |from: Value, when: Value| rule(json!({ "from": from, "when": when }));
    let for_all = of(json!({ "constant": "all" }), json!({}));
    for (own, said) in [
        (of(json!({ "constant": "own" }), json!({ "client": "first-party" })), json!({ "department": "own" })),
        (of(json!({ "attribute": "missing" }), json!({ "client": "first-party" })), json!({})),
        (of(json!({ "constant": "own" }), json!({ "client": "first-party", "scope": "a" })), json!({})),
        (of(json!({ "constant": "own" }), json!({ "client": "cli_other" })), json!({ "department": "all" })),
    ] {
        for both in [json!([for_all, own]), json!([own, for_all])] {
            assert_eq!(told(both.clone(), json!({}), Carrier::AccessToken, ""), said, "{both}");
        }
    }
}

#[test]
fn s109_what_a_scope_opens_no_rule_tells_without_it() {
    let name = |into: &str| json!([rule(json!({ "claim": "name", "from": { "template": "{username} A." }, "into": [into] }))]);
    for (into, carrier) in [("access_token", Carrier::AccessToken), ("id_token", Carrier::IdToken), ("userinfo", Carrier::Userinfo)] {
        assert_eq!(told(name(into), json!({}), carrier, "openid"), json!({}), "{into}");
        assert_eq!(told(name(into), json!({}), carrier, "openid profile"), json!({ "name": "alice A." }), "{into}");
    }
}

#[test]
fn what_a_rule_is_about_it_alone_tells_and_what_has_no_room_is_left_out_whole() {
    let made = rules(json!([
        rule(json!({ "when": { "scope": "hr" } })),
        rule(json!({ "claim": "large", "from": { "attribute": "large" } })),
        rule(json!({ "claim": "small", "from": { "constant": 1 } })),
    ]))
    .expect("good rules");
    let user = alice(json!({ "department": "sales", "large": "x".repeat(200), "plan": "gold", "tail": "y".repeat(200) }));
    let (client, scope) = (ClientId::first_party(), Scope::none());
    let on = Occasion {
        carrier: Carrier::AccessToken,
        client: &client,
        scope: &scope,
        audience: None,
        user: Some(&user),
        permissions: None,
        wishes: None,
    };
    let own = || user.claims.as_map().iter().map(|(name, value)| (name.as_str(), value.clone()));
    let told = made.told(on, 100).and(own());
    assert_eq!(Value::Object(told.claims), json!({ "small": 1, "plan": "gold" }), "no department without hr, whose claim it may be");
    assert_eq!(told.left_out, ["large", "tail"]);
}

proptest! {
    /// Whatever users have and rules say, a token's own claims stay as they are, and all of it stays within what everybody reads.
    #[test]
    fn a_token_keeps_its_size_and_its_own_claims(
        values in proptest::collection::vec("[a-z\"\\\\é]{0,200}", 0..20),
        roles in proptest::collection::btree_set("[a-z]{1,20}", 0..20),
        repeats in 1_usize..50,
    ) {
        let attributes: Map<String, Value> = values.iter().enumerate().map(|(n, value)| (format!("a{n}"), json!(value))).collect();
        let Ok(claims) = serde_json::from_value(Value::Object(attributes)) else { return Ok(()) };
        let mut user = alice(json!({}));
        user.claims = claims;
        user.roles = serde_json::from_value(json!(roles)).expect("roles");
        let made: Value = (0..repeats).map(|n| rule(json!({ "claim": format!("m{n}"), "from": { "attribute": format!("a{}", n % 7) }, "into": ["access_token"] }))).collect();
        let mut policy = TenantPolicy::default();
        let plain = tenant(policy.clone());
        policy.claims.rules = rules(made).expect("good rules");
        let tenant = tenant(policy);
        let (client, scope, target) = (ClientId::first_party(), Scope::none(), Target::usual());
        let of = |tenant: &Tenant| {
            let issuance = Issuance { tenant, issuer: ISSUER, client_id: &client, scope: &scope, target: &target, details: AuthorizationDetails::NONE, jti: TokenId::new(NOW, [3; 10]), now: NOW };
            let grant = Grant { session_id: FamilyId::new(NOW, [4; 10]), session_ends_at: NOW.plus(Ttl::days(1)), subject: Subject::User(user.id), auth_time: NOW, sign_on: None };
            AccessClaims::new(issuance, &user, grant)
        };
        let (with, without) = (of(&tenant), of(&plain));
        prop_assert!(serde_json::to_string(&with).expect("JSON").len() <= 4_900);
        prop_assert!(serde_json::to_string(&with.custom).expect("JSON").len() <= ClaimRules::ROOM + 2);
        prop_assert_eq!(AccessClaims { custom: Map::new(), ..with }, AccessClaims { custom: Map::new(), ..without });
    }
}
