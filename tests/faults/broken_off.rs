//! Flows that are broken off at each of their steps: whoever asks again gets what was promised, and nothing has happened twice.

use crate::chance::{self, Chance};
use crate::flows::{Flow, Stage};
use crate::proxy::Lost;

/// The connection is cut when COMMIT was said: before PostgreSQL hears it, and after it has committed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_cut_at_any_commit_logs_nobody_out_and_does_nothing_twice() {
    let rounds = if chance::is_long() { 50 } else { 1 };
    let mut stage = Stage::new().await;
    let (mut cuts, mut unanswered) = (0, 0);
    for _ in 0..rounds {
        for (flow, lost) in Flow::ALL.into_iter().flat_map(|flow| [(flow, Lost::Order), (flow, Lost::Answer)]) {
            let begun = cuts;
            for commit in 1.. {
                let prepared = flow.prepared(&mut stage).await;
                let was_answered = flow.attempt(&stage, &prepared, |_| stage.proxy.cut_at_commit(commit, lost)).await;
                let was_cut = stage.proxy.has_happened();
                flow.settle(&mut stage, &prepared, was_answered).await;
                if !was_cut {
                    assert!(was_answered, "{flow:?} was not cut, and not answered");
                    break;
                }
                (cuts, unanswered) = (cuts + 1, unanswered + u32::from(!was_answered));
            }
            assert!(cuts > begun, "{flow:?} was never cut");
        }
    }
    eprintln!("cut at COMMIT: {rounds} rounds, {cuts} cuts, {unanswered} flows without an answer, 0 violations");
    assert!(unanswered > 0, "every cut was made good before anybody noticed");
    stage.deleted_slugs_are_free().await;
    stage.node.stop().await;
}

/// SIGKILL at a message to PostgreSQL that wants an answer: the message arrives, the answer does not. With time, at each one that
/// there is; else at some of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_killed_at_any_step_of_a_flow_leaves_nothing_half_done() {
    let (rounds, most_left_out, most_kills) = if chance::is_long() { (10, 1, u32::MAX) } else { (1, 12, 3) };
    let seed = chance::seed();
    let chance = Chance::new(seed);
    let mut stage = Stage::new().await;
    let mut kills = Vec::new();
    for flow in (0..rounds).flat_map(|_| Flow::ALL) {
        // The first one early: every flow asks at least three times.
        let (mut question, mut killed) = (0, 0);
        loop {
            question += if question == 0 { 1 + chance.below(3) } else { 1 + chance.below(most_left_out) };
            let prepared = flow.prepared(&mut stage).await;
            let was_answered = flow.attempt(&stage, &prepared, |pid| stage.proxy.kill_at_question(question, pid)).await;
            let was_killed = stage.proxy.has_happened();
            if was_killed && flow != Flow::RotateKek {
                stage.node = stage.site.start().await;
            }
            flow.settle(&mut stage, &prepared, was_answered).await;
            if !was_killed {
                assert!(was_answered, "seed {seed}: {flow:?} was not killed, and not answered");
                break;
            }
            killed += 1;
            if killed == most_kills {
                break;
            }
        }
        assert!(killed > 0, "seed {seed}: {flow:?} was never killed");
        kills.push(format!("{flow:?} {killed}, up to question {question}"));
    }
    eprintln!("kill -9 at a step: seed {seed}, {rounds} rounds, kills: {}; 0 violations", kills.join(", "));
    stage.deleted_slugs_are_free().await;
    stage.node.stop().await;
}
