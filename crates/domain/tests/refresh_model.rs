//! The refresh-family protocol, checked exhaustively: every interleaving of two honest tabs, a thief, a logout, crashes,
//! lost messages and passing time, within small bounds. Each server step is domain's own [`RefreshFamily::present`].
//!
//! Invariant: the model holds no rule of its own about what a token is worth; what it remembers besides the family (`Past`)
//! is only what has happened, so that answers can be compared with it.

use std::fmt;

use domain::client::ClientId;
use domain::details::AuthorizationDetails;
use domain::ids::{FamilyId, UserId};
use domain::scope::Scope;
use domain::time::{Timestamp, Ttl};
use domain::token::family::{
    Binding, Generation, Head, Presentation, Presented, RefreshFamily, RefreshRules, Refused, Revocation, RevocationCause, Superseded,
};
use stateright::{Checker, HasDiscoveries, Model, Property};

const WINDOW: Ttl = Ttl::seconds(10);
/// A cap of two keeps the count of replays, and with it the number of states, small.
const RULES: RefreshRules = RefreshRules { retry_window: WINDOW, replay_cap: 2, idle_ttl: Ttl::days(14) };
const STRICT: RefreshRules = RefreshRules { retry_window: Ttl::ZERO, ..RULES };
/// One of these is within the window, two are beyond it.
const SHORT_WHILE: Ttl = Ttl::seconds(6);
/// Beyond every window.
const LONG_WHILE: Ttl = Ttl::hours(1);

const ONE_HEAD: &str = "there is at most one live head, and every replay hands out that one";
const DEAD_STAYS_DEAD: &str = "a token that was dead never comes back to life";
const NOTHING_AFTER_THE_END: &str = "an ended family gives nothing";
const THEFT_ENDS_IT: &str = "a superseded token whose successor was used ends the family after the window";
const HONEST_STAY_IN: &str = "an honest tab is never logged out by another honest tab, a retry or a crash";

type Rule = fn(&RefreshFamily, Presented<'_>, RefreshRules, Timestamp) -> Presentation;

/// What is explored, and how far.
struct Protocol {
    rule: Rule,
    rules: RefreshRules,
    has_thief: bool,
    /// Requests of honest tabs arrive as long as a token is promised to be answered, or not at all.
    keeps_promise: bool,
    most_generations: u8,
    most_waits: u8,
    /// What a family is besides the part that changes.
    template: RefreshFamily,
}

impl Protocol {
    fn new(rule: Rule, rules: RefreshRules) -> Self {
        let opened_at = Timestamp::from_seconds(1_000);
        let template = RefreshFamily {
            id: FamilyId::new(opened_at, [1; 10]),
            user_id: UserId::new(opened_at, [2; 10]),
            client_id: ClientId::first_party(),
            scope: Scope::default_grant(),
            resources: [].into(),
            details: AuthorizationDetails::none(),
            binding: Binding::Bearer,
            auth_time: opened_at,
            head: Head::first(opened_at),
            idle_expires_at: opened_at.plus(Ttl::days(14)),
            absolute_expires_at: opened_at.plus(Ttl::days(90)),
            revoked: None,
            created_at: opened_at,
            sign_on: None,
            user_agent: None,
            source: None,
        };
        Self { rule, rules, has_thief: false, keeps_promise: false, most_generations: 6, most_waits: 3, template }
    }

    fn family(&self, world: &World) -> RefreshFamily {
        RefreshFamily { head: world.head, revoked: world.revoked.map(|cause| Revocation { at: world.now, cause }), ..self.template.clone() }
    }

    fn judge(&self, family: &RefreshFamily, generation: u8, now: Timestamp) -> Presentation {
        let presented = Presented {
            generation: Generation::from_u32(generation.into()),
            client_id: &self.template.client_id,
            binding: Binding::Bearer,
        };
        (self.rule)(family, presented, self.rules, now)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Tab {
    Idle,
    /// The request with this token is under way.
    Sent(u8),
    /// The response with this token is under way.
    Answered(u8),
}

/// What has happened, kept apart from the family so that the family can be judged by it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
struct Past {
    /// The generations that were used (rotated away), in that order.
    used: Vec<u8>,
    /// When each of `used` was last given a new successor.
    answered_at: Vec<Timestamp>,
    /// Bits of the generations that were worth nothing at some moment after they were issued.
    dead: u16,
    /// Names of the properties that the last step broke.
    broken: Vec<&'static str>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct World {
    now: Timestamp,
    waits: u8,
    head: Head,
    revoked: Option<RevocationCause>,
    /// The token store that both tabs share.
    stored: u8,
    tabs: [Tab; 2],
    /// Bits of the generations the thief holds.
    stolen: u16,
    past: Past,
}

/// What becomes of a request that has reached the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Fate {
    Answered,
    /// The server dies after deciding and before committing (or the request never arrives).
    CrashBeforeCommit,
    /// Committed, but the response never arrives; the sender reads the store again before it tries again.
    ResponseLost,
    /// Committed, but the response never arrives; the sender tries again with the same token.
    ResponseLostAndRetried,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Step {
    Send(usize),
    Arrive(usize, Fate),
    Receive(usize),
    Steal,
    ThiefPresents(u8),
    Logout,
    Wait(Ttl),
}

const fn bit(generation: u8) -> u16 {
    1 << generation
}

fn current(head: &Head) -> u8 {
    u8::try_from(head.current.as_u32()).expect("the model is bounded")
}

impl World {
    /// Whether the rules promise that this token is answered now: it is alive, or it was used and its successor was not,
    /// or it is one of the last four that were used and its window is open.
    fn is_promised(&self, generation: u8, window: Ttl) -> bool {
        let used = &self.past.used;
        if generation == current(&self.head) || used.last() == Some(&generation) {
            return true;
        }
        let is_remembered = used.iter().rev().take(Head::REMEMBERED).any(|old| *old == generation);
        is_remembered && self.answered_at(generation).is_some_and(|at| self.now < at.plus(window))
    }

    fn answered_at(&self, generation: u8) -> Option<Timestamp> {
        let index = self.past.used.iter().position(|old| *old == generation)?;
        Some(self.past.answered_at[index])
    }

    /// Whether nobody honest and prompt can be showing this token: it was thrown away unused, or its successor was used
    /// and its window has passed.
    fn is_theft(&self, generation: u8, window: Ttl) -> bool {
        if generation >= current(&self.head) || (self.past.used.last() == Some(&generation) && !window.is_zero()) {
            return false;
        }
        self.answered_at(generation).is_none_or(|at| self.now >= at.plus(window))
    }

    /// The server's step: judge and commit. `Some` is the token that is handed out.
    fn present(&mut self, protocol: &Protocol, generation: u8, is_honest: bool) -> Option<u8> {
        let (was_ended, must_end) = (self.revoked.is_some(), self.is_theft(generation, protocol.rules.retry_window));
        let presentation = protocol.judge(&protocol.family(self), generation, self.now);
        match presentation {
            Presentation::Rotate { head, .. } => {
                self.head = head;
                self.past.used.push(generation);
                self.past.answered_at.push(self.now);
            }
            Presentation::Replace { head, .. } => {
                self.head = head;
                if let Some(index) = self.past.used.iter().position(|old| *old == generation) {
                    self.past.answered_at[index] = self.now;
                }
            }
            Presentation::Replay { head } => self.head = head,
            Presentation::Reuse => self.revoked = Some(RevocationCause::Reuse),
            Presentation::Refused(_) | Presentation::SlowDown { .. } => {}
        }
        let is_given = matches!(presentation, Presentation::Rotate { .. } | Presentation::Replace { .. } | Presentation::Replay { .. });
        let is_out = matches!(presentation, Presentation::Reuse | Presentation::Refused(Refused::Revoked));
        if was_ended && is_given {
            self.past.broken.push(NOTHING_AFTER_THE_END);
        }
        if !was_ended && must_end && self.revoked != Some(RevocationCause::Reuse) {
            self.past.broken.push(THEFT_ENDS_IT);
        }
        let logged_out = was_ended && self.revoked == Some(RevocationCause::Logout);
        if protocol.keeps_promise && is_honest && is_out && !logged_out {
            self.past.broken.push(HONEST_STAY_IN);
        }
        is_given.then(|| current(&self.head))
    }

    /// Presents every generation to a copy, and compares with what was true before.
    fn look_at_all_tokens(&mut self, protocol: &Protocol) {
        let family = protocol.family(self);
        let mut heads = 0;
        for generation in 0..=protocol.most_generations + 2 {
            let is_issued = (1..=current(&self.head)).contains(&generation);
            let is_alive = match protocol.judge(&family, generation, self.now) {
                Presentation::Rotate { .. } => {
                    heads += 1;
                    true
                }
                Presentation::Replay { head } => {
                    if head.current != self.head.current {
                        heads += 1;
                    }
                    true
                }
                Presentation::Replace { .. } | Presentation::SlowDown { .. } => true,
                Presentation::Reuse | Presentation::Refused(_) => false,
            };
            if is_alive && self.past.dead & bit(generation) != 0 {
                self.past.broken.push(DEAD_STAYS_DEAD);
            }
            if is_issued && !is_alive {
                self.past.dead |= bit(generation);
            }
        }
        if heads > 1 {
            self.past.broken.push(ONE_HEAD);
        }
    }
}

impl Model for Protocol {
    type State = World;
    type Action = Step;

    fn init_states(&self) -> Vec<World> {
        let (head, now) = (self.template.head, self.template.created_at);
        vec![World { now, waits: 0, head, revoked: None, stored: 1, tabs: [Tab::Idle; 2], stolen: 0, past: Past::default() }]
    }

    fn actions(&self, world: &World, steps: &mut Vec<Step>) {
        for (index, tab) in world.tabs.iter().enumerate() {
            match *tab {
                Tab::Idle => steps.push(Step::Send(index)),
                Tab::Sent(generation) => {
                    steps.push(Step::Arrive(index, Fate::CrashBeforeCommit));
                    if !self.keeps_promise || world.is_promised(generation, self.rules.retry_window) {
                        steps.extend([Fate::Answered, Fate::ResponseLost].map(|fate| Step::Arrive(index, fate)));
                        if !self.has_thief {
                            // With a thief around left out for the number of states: it can repeat any token itself.
                            steps.push(Step::Arrive(index, Fate::ResponseLostAndRetried));
                        }
                    }
                }
                Tab::Answered(_) => steps.push(Step::Receive(index)),
            }
        }
        if self.has_thief {
            if world.stolen == 0 {
                steps.push(Step::Steal);
            }
            for generation in (1..=self.most_generations).filter(|generation| world.stolen & bit(*generation) != 0) {
                // No fates: a thief whose response is lost does nothing that one who never uses it could not do.
                steps.push(Step::ThiefPresents(generation));
            }
        }
        if world.revoked.is_none() {
            steps.push(Step::Logout);
        }
        if world.waits < self.most_waits {
            steps.extend([Step::Wait(SHORT_WHILE), Step::Wait(LONG_WHILE)]);
        }
    }

    fn next_state(&self, world: &World, step: Step) -> Option<World> {
        let mut next = world.clone();
        next.past.broken.clear();
        match step {
            Step::Send(tab) => next.tabs[tab] = Tab::Sent(next.stored),
            Step::Arrive(tab, fate) => {
                let Tab::Sent(generation) = next.tabs[tab] else { return None };
                let given = if fate == Fate::CrashBeforeCommit { None } else { next.present(self, generation, true) };
                next.tabs[tab] = match (given, fate) {
                    (Some(given), Fate::Answered) => Tab::Answered(given),
                    (_, Fate::ResponseLostAndRetried) => Tab::Sent(generation),
                    _ => Tab::Idle,
                };
            }
            Step::Receive(tab) => {
                let Tab::Answered(given) = next.tabs[tab] else { return None };
                // The worst store there is: a late response overwrites a newer token.
                (next.stored, next.tabs[tab]) = (given, Tab::Idle);
            }
            Step::Steal => next.stolen |= bit(next.stored),
            Step::ThiefPresents(generation) => {
                if let Some(given) = next.present(self, generation, false) {
                    next.stolen |= bit(given);
                }
            }
            Step::Logout => next.revoked = Some(RevocationCause::Logout),
            Step::Wait(span) => {
                next.now = next.now.plus(span);
                next.waits += 1;
            }
        }
        // The tabs are alike: which is which makes no difference.
        next.tabs.sort_unstable();
        next.look_at_all_tokens(self);
        (next != *world).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        fn holds(world: &World, name: &str) -> bool {
            !world.past.broken.contains(&name)
        }
        let mut properties = vec![
            Property::always(ONE_HEAD, |_, world: &World| holds(world, ONE_HEAD)),
            Property::always(DEAD_STAYS_DEAD, |_, world: &World| holds(world, DEAD_STAYS_DEAD)),
            Property::always(NOTHING_AFTER_THE_END, |_, world: &World| holds(world, NOTHING_AFTER_THE_END)),
            Property::always(THEFT_ENDS_IT, |_, world: &World| holds(world, THEFT_ENDS_IT)),
            // The model can get everywhere: without these, a model that does nothing would satisfy everything.
            Property::sometimes("rotate", |_, world: &World| !world.past.used.is_empty()),
            Property::sometimes("logout", |_, world: &World| world.revoked == Some(RevocationCause::Logout)),
        ];
        if !self.rules.retry_window.is_zero() {
            properties.extend([
                Property::sometimes("replay", |_, world: &World| world.head.replays > 0),
                // More generations were made than used: one was thrown away.
                Property::sometimes("replace", |_, world: &World| usize::from(current(&world.head)) > world.past.used.len() + 1),
            ]);
        }
        if self.keeps_promise {
            properties.push(Property::always(HONEST_STAY_IN, |_, world: &World| holds(world, HONEST_STAY_IN)));
            properties.push(Property::sometimes("more used than remembered", |_, world: &World| world.past.used.len() > Head::REMEMBERED));
        } else {
            properties.push(Property::sometimes("reuse", |_, world: &World| world.revoked == Some(RevocationCause::Reuse)));
        }
        if self.has_thief {
            properties.push(Property::sometimes("the thief lives on a token of its own", |_, world: &World| world.stolen.count_ones() > 1));
        }
        properties
    }

    fn within_boundary(&self, world: &World) -> bool {
        current(&world.head) <= self.most_generations
    }
}

impl fmt::Debug for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Protocol").field("rules", &self.rules).field("has_thief", &self.has_thief).finish_non_exhaustive()
    }
}

/// Explores everything, and fails on a broken property, on one that never came about, and on too small a world.
fn prove(protocol: Protocol, least_states: usize) {
    let checker = protocol.checker().threads(2).spawn_bfs().join();
    checker.assert_properties();
    let states = checker.unique_state_count();
    assert!(checker.is_done(), "every state was visited");
    assert!(states >= least_states, "only {states} states: the bounds have become too tight to prove anything");
}

/// Explores until some property is broken, which must be this one.
fn refute(protocol: Protocol, expected: &'static str) {
    let checker = protocol.checker().finish_when(HasDiscoveries::AnyOf([expected].into())).spawn_bfs().join();
    assert!(checker.discovery(expected).is_some(), "a broken rule went unnoticed: {expected}");
}

#[test]
fn two_honest_tabs_with_lost_messages_and_crashes_are_never_logged_out_by_each_other() {
    prove(Protocol { keeps_promise: true, most_waits: 2, ..Protocol::new(RefreshFamily::present, RULES) }, 100_000);
}

#[test]
fn a_thief_gets_no_second_head_and_ends_the_family_by_coming_late() {
    prove(Protocol { has_thief: true, most_generations: 4, most_waits: 2, ..Protocol::new(RefreshFamily::present, RULES) }, 20_000);
}

#[test]
fn a_strict_tenant_is_as_safe() {
    prove(Protocol { has_thief: true, most_waits: 1, ..Protocol::new(RefreshFamily::present, STRICT) }, 5_000);
}

/// Gives every superseded token a successor of its own.
fn forks(family: &RefreshFamily, presented: Presented<'_>, rules: RefreshRules, now: Timestamp) -> Presentation {
    match family.present(presented, rules, now) {
        Presentation::Reuse if presented.generation < family.head.current => {
            let next = family.head.current.next().expect("the model is bounded");
            Presentation::Rotate { head: Head { current: next, ..family.head }, idle_expires_at: family.idle_expires_at }
        }
        other => other,
    }
}

/// Forgets that a family was ended.
fn unrevokes(family: &RefreshFamily, presented: Presented<'_>, rules: RefreshRules, now: Timestamp) -> Presentation {
    RefreshFamily { revoked: None, ..family.clone() }.present(presented, rules, now)
}

/// Answers every old token with a replay, for ever.
fn replays_for_ever(family: &RefreshFamily, presented: Presented<'_>, rules: RefreshRules, now: Timestamp) -> Presentation {
    match family.present(presented, rules, now) {
        Presentation::Reuse if presented.generation < family.head.current => Presentation::Replay { head: family.head },
        other => other,
    }
}

/// Gives the retries of a replaced token a window only until its new successor is used. Domain once did this; it logged
/// out a tab whose late retry was overtaken by a quicker tab.
fn forgets_the_window_of_a_replace(family: &RefreshFamily, presented: Presented<'_>, rules: RefreshRules, now: Timestamp) -> Presentation {
    let head = family.head;
    let is_predecessor = head.predecessor() == Some(presented.generation);
    if family.revoked.is_none() && is_predecessor && now < head.rotated_at.plus(rules.retry_window) {
        return Presentation::Replay { head };
    }
    match family.present(presented, rules, now) {
        Presentation::Replace { head: mut replaced, idle_expires_at } => {
            let at = head.superseded[0].map_or(now, |superseded| superseded.at);
            replaced.superseded[0] = Some(Superseded { generation: presented.generation, at });
            Presentation::Replace { head: replaced, idle_expires_at }
        }
        other => other,
    }
}

/// Brings a token back within an hour of its death.
fn resurrects(family: &RefreshFamily, presented: Presented<'_>, rules: RefreshRules, now: Timestamp) -> Presentation {
    match family.present(presented, rules, now) {
        Presentation::Reuse if presented.generation < family.head.current && now >= family.created_at.plus(LONG_WHILE) => {
            Presentation::Replay { head: family.head }
        }
        other => other,
    }
}

#[test]
fn the_check_notices_a_rule_that_makes_a_second_head() {
    refute(Protocol { has_thief: true, ..Protocol::new(forks, RULES) }, ONE_HEAD);
}

#[test]
fn the_check_notices_a_rule_that_forgets_revocations() {
    refute(Protocol::new(unrevokes, RULES), NOTHING_AFTER_THE_END);
}

#[test]
fn the_check_notices_a_rule_that_lets_a_late_thief_go() {
    refute(Protocol { has_thief: true, ..Protocol::new(replays_for_ever, RULES) }, THEFT_ENDS_IT);
}

#[test]
fn the_check_notices_a_rule_that_brings_tokens_back() {
    refute(Protocol::new(resurrects, RULES), DEAD_STAYS_DEAD);
}

#[test]
fn the_check_notices_a_rule_that_logs_out_the_slower_of_two_retries() {
    refute(Protocol { keeps_promise: true, ..Protocol::new(forgets_the_window_of_a_replace, RULES) }, HONEST_STAY_IN);
}
